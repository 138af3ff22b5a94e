"""The language images: what is in them, and that nothing which goes wrong with a build reaches the image in use."""

import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from instance import BUILD

SOURCE = Path(__file__).resolve().parents[2] / "images"
NAMES = ["nodejs20.x", "provided.al2023", "python3.13", "toolbox"]
LANGUAGES = ["nodejs20.x", "provided.al2023", "python3.13"]

# A read-only root as a sandbox has it, without network, as a user who owns nothing.
INSIDE = """
mount --bind "$0" "$0"; mount --rbind /dev "$0/dev"; mount -t proc proc "$0/proc"; mount -t tmpfs tmpfs "$0/tmp"
mount -o remount,bind,ro "$0"; cd "$0"
exec env -i PATH=/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin LANG=en_US.UTF-8 TZ=:UTC \
    "$(type -P chroot)" --userspec 1000:1000 . "$@"
"""


def image(*args, **options):
    return subprocess.run([SOURCE / "image", *args], capture_output=True, text=True, timeout=300, **options)


def entries(*args, **options):
    return {entry["name"]: entry for entry in json.loads(image("list", "--json", *args, **options).stdout)}


@pytest.fixture(scope="module")
def built():
    """Every image, built if it is not yet: name -> its entry in `list --json`."""
    result = image("build", "--all")
    assert result.returncode == 0, result.stderr
    return entries()


@pytest.fixture(params=NAMES)
def root(request, built):
    return Path(built[request.param]["path"]) / "rootfs"


@pytest.fixture(params=LANGUAGES)
def language_root(request, built):
    return Path(built[request.param]["path"]) / "rootfs"


def inside(entry, *command):
    result = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--net", "--kill-child", "bash", "-euc", INSIDE,
                             f"{entry['path']}/rootfs", *command], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


# --- what is in the images ---

def test_list_describes_each_image(built):
    for name in NAMES:
        entry = built[name]
        manifest = json.loads((Path(entry["path"]) / "manifest.json").read_text())
        assert entry["built"] and entry["state"] == "up to date" and entry["suite"] == "trixie"
        assert Path(entry["path"]).parent.joinpath("current").read_text().strip() == entry["digest"]
        assert {key: manifest[key] for key in ("name", "digest", "size_bytes")} == \
            {key: entry[key] for key in ("name", "digest", "size_bytes")}
        assert "libc6" in manifest["packages"]


def as_nobody(*args):
    """Runs `image` as nobody, who may look into the source tree wherever it is."""
    setpriv = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "+dac_override",
               "--ambient-caps", "+dac_override"]
    return subprocess.run([*setpriv, SOURCE / "image", *args], capture_output=True, text=True, timeout=60)


def test_list_needs_no_root(built):
    result = as_nobody("list")
    assert result.returncode == 0 and all(name in result.stdout for name in NAMES)
    for entry in built.values():
        home = Path(entry["path"])
        for path in [home.parent.parent, home.parent, home, home / "manifest.json", home / "rootfs"]:
            assert path.stat().st_mode & 0o044 == 0o044, path


def test_images_are_small(built):
    limit = {"nodejs20.x": 170, "provided.al2023": 65, "python3.13": 150, "toolbox": 20}
    assert [name for name in NAMES if built[name]["size_bytes"] > limit[name] * 10**6] == []


def test_nothing_privileged(root):
    for folder, folders, files in os.walk(root):
        for path in [folder] + [os.path.join(folder, name) for name in folders + files]:
            info = os.lstat(path)
            assert (info.st_uid, info.st_gid) == (0, 0), path
            assert not info.st_mode & (stat.S_ISUID | stat.S_ISGID), path
            assert stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode) or stat.S_ISLNK(info.st_mode), path
            assert stat.S_ISLNK(info.st_mode) or not os.listxattr(path, follow_symlinks=False), path


def test_mount_points_and_files(language_root):
    for path in ["dev", "proc", "tmp", "opt", "var/task", "var/runtime"]:
        assert list((language_root / path).iterdir()) == [], path
    for path in ["etc/passwd", "etc/group", "etc/hosts", "etc/hostname", "etc/resolv.conf"]:
        assert stat.S_ISREG(os.lstat(language_root / path).st_mode), path
    assert (language_root / "etc/resolv.conf").read_text() == ""
    assert not (language_root / "etc/machine-id").exists()
    assert not (language_root / "var/lib/dpkg").exists() and not (language_root / "usr/share/doc").exists()


def test_userland(built):
    for name in LANGUAGES:
        script = "curl --version && openssl version && sed --version && awk 'BEGIN { print 1 }' && locale && date +%Z"
        out = inside(built[name], "bash", "-c", script)
        assert 'LC_ALL=' in out and 'LC_CTYPE="en_US.UTF-8"' in out and out.endswith("UTC")


def test_python(built):
    code = "import ssl, sqlite3, json, ctypes, zoneinfo, boto3, sys; print(sys.version_info[:2], sys.executable)"
    assert inside(built["python3.13"], "python3", "-c", code) == "(3, 13) /var/lang/bin/python3"
    assert "CERTIFICATE" in inside(built["python3.13"], "cat", "/etc/pki/tls/certs/ca-bundle.crt")


def test_python_is_compiled(built):
    root = Path(built["python3.13"]["path"]) / "rootfs/usr/lib"
    sources = list(root.glob("python3*/**/*.py"))
    compiled = {path.name for path in root.glob("python3*/**/__pycache__/*.cpython-313.pyc")}
    assert len(sources) > 700
    assert [path for path in sources if f"{path.stem}.cpython-313.pyc" not in compiled] == []


def test_node(built):
    code = "fetch('data:,ok').then(r => r.text()).then(t => console.log(t, process.version, process.execPath))"
    assert inside(built["nodejs20.x"], "node", "-e", code).startswith("ok v20.")


def test_criu_runs_through_its_own_loader(built):
    root = Path(built["toolbox"]["path"]) / "rootfs"
    [loader] = root.glob("lib64/ld-linux-*") or root.glob("lib/ld-linux-*")
    [libraries] = root.glob("usr/lib/*-linux-gnu*")
    out = subprocess.run([loader, "--library-path", libraries, root / "usr/sbin/criu", "--version"],
                         capture_output=True, text=True, check=True).stdout
    assert "Version: 4.1.1" in out


# --- building again, and offline ---

def test_building_again_changes_nothing_and_needs_no_network(built):
    def state():
        return {name: [os.stat(path).st_mtime_ns for path in
                       (entry["path"], Path(entry["path"]).parent, Path(entry["path"]).parent / "current")]
                for name, entry in entries().items()}
    before = state()
    result = subprocess.run(["unshare", "--net", SOURCE / "image", "build", "--all"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [f"{name}: up to date ({built[name]['digest']})" for name in NAMES]
    assert state() == before


# --- what goes wrong ---

class Yard:
    """A directory of recipes and one of images, to break at will."""

    def __init__(self, path):
        self.recipes, self.images, self.bin = path / "recipes", path / "images", path / "bin"
        for folder in (self.recipes, self.bin):
            folder.mkdir()
        self.env = {**os.environ, "FNRUN_RECIPES": str(self.recipes), "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def recipe(self, text, name="tiny"):
        (self.recipes / f"{name}.recipe").write_text(text)

    def run(self, *args):
        return image(*args, "--images", str(self.images), env=self.env)

    def digest(self, name="tiny"):
        return (self.images / name / "current").read_text().strip()

    def root(self, name="tiny"):
        return self.images / name / self.digest(name) / "rootfs"

    def leftovers(self):
        return sorted(path.name for path in self.images.glob(".tmp-*"))

    def fake_mmdebstrap(self, script):
        """In place of the real one: `$root` is the tree it should fill."""
        path = self.bin / "mmdebstrap"
        path.write_text(f'#!/bin/bash\nroot=${{@: -2:1}}\nmkdir -p "$root/half"\n{script}\n')
        path.chmod(0o755)

    def start_long_build(self):
        self.recipe("package anything\n")
        self.fake_mmdebstrap(f"touch {self.bin}/started; sleep 4711")
        process = subprocess.Popen([SOURCE / "image", "build", "tiny", "--images", self.images], env=self.env,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        wait_for(lambda: (self.bin / "started").exists())
        return process


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def sleepers():
    """Is the long build's child still there?"""
    def command(path):
        try:
            return path.read_bytes()
        except OSError:
            return b""
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if command(path) == b"sleep\x004711\x00"]


@pytest.fixture
def yard(tmp_path):
    return Yard(tmp_path)


@pytest.fixture
def good(yard):
    """A yard with one image in use."""
    yard.recipe("dir /a 0750\nline /a/b hello world\nlink /c a/b\nempty /d\nremove /d /no*such\n")
    assert yard.run("build", "tiny").returncode == 0
    return yard


def test_recipe_steps(good):
    root = good.root()
    assert (root / "c").read_text() == "hello world\n" and stat.S_IMODE((root / "a").stat().st_mode) == 0o750
    assert sorted(path.name for path in root.iterdir()) == ["a", "c", "dev", "proc", "tmp"]


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_interrupted_build(good, number, status):
    before = good.digest()
    process = good.start_long_build()
    assert len(good.leftovers()) == 1
    process.send_signal(number)
    assert process.wait(10) == status
    wait_for(lambda: not sleepers())
    assert good.digest() == before and (good.root() / "a/b").exists()
    assert number == signal.SIGKILL or good.leftovers() == []
    good.recipe("dir /new\n")
    assert good.run("build", "tiny").returncode == 0
    assert good.leftovers() == [] and (good.root() / "new").is_dir()


def test_failed_build(good):
    before = good.digest()
    good.recipe("package anything\n")
    good.fake_mmdebstrap("echo 'E: Failed to fetch http://mirror.invalid/x  Could not resolve'; exit 100")
    result = good.run("build", "tiny")
    assert result.returncode == 1
    assert "Could not resolve" in result.stderr and "mirror cannot be reached" in result.stderr
    assert good.digest() == before and good.leftovers() == []


def test_failed_check(good):
    before = good.digest()
    good.recipe("dir /x\ncheck /bin/nothing\n")
    result = good.run("build", "tiny")
    assert result.returncode == 1 and "tiny.recipe:2: this failed: check /bin/nothing" in result.stderr
    assert good.digest() == before and good.leftovers() == []


@pytest.mark.parametrize("text, message", [
    ("dir /x\nfry eggs\n", "tiny.recipe:2: unknown word 'fry'"),
    ("include nowhere\n", "tiny.recipe:1: includes 'nowhere'"),
    ("dir\n", "tiny.recipe:1: 'dir' needs an argument"),
])
def test_broken_recipe(good, text, message):
    before = good.digest()
    good.recipe(text)
    result = good.run("build", "tiny")
    assert result.returncode == 1 and message in result.stderr
    assert good.digest() == before
    assert [line.split()[1:3] for line in good.run("list").stdout.splitlines()[1:]] == [["bad", "recipe"]]


def test_old_image_stays_while_it_is_used(good):
    old = good.root()
    sandbox = subprocess.Popen(["unshare", "--mount", "bash", "-c", 'mount --bind "$0" "$0" && echo && read', old],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    sandbox.stdout.readline()
    assert good.run("rm", "tiny").returncode == 1
    good.recipe("dir /new\n")
    for _ in range(2):
        assert good.run("build", "tiny").returncode == 0
    assert (old / "a/b").exists() and (good.root() / "new").is_dir()
    sandbox.communicate(b"\n")
    assert good.run("build", "tiny").returncode == 0
    assert not old.exists() and (good.root() / "new").is_dir()


def test_going_back_to_an_old_recipe(good):
    text, before = (good.recipes / "tiny.recipe").read_text(), good.digest()
    for recipe in ("dir /new\n", text):
        good.recipe(recipe)
        assert good.run("build", "tiny").returncode == 0
    assert good.digest() == before and (good.root() / "a/b").exists()


def test_two_builds_at_once(yard):
    yard.recipe("dir /x\n")
    command = [SOURCE / "image", "build", "tiny", "--images", yard.images]
    both = [subprocess.Popen(command, env=yard.env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("up to date" in output for output in outputs) == [False, True]


def test_rm(good):
    assert good.run("rm", "tiny").returncode == 0
    assert not (good.images / "tiny").exists() and good.leftovers() == []
    result = good.run("rm", "tiny")
    assert result.returncode == 5 and "tiny: is not built" in result.stderr
    entry = entries("--images", good.images, env=good.env)["tiny"]
    assert entry == {"name": "tiny", "state": "not built", "built": False}


def test_json_is_all_that_stands_on_standard_output(good):
    """Progress goes to standard error; what went wrong is told as well, also by what runs in a subshell."""
    result = good.run("build", "tiny", "--json")
    assert result.returncode == 0 and "tiny: up to date" in result.stderr
    assert json.loads(result.stdout) == [entries("--images", good.images, env=good.env)["tiny"]]
    good.recipe("package anything\n")
    good.fake_mmdebstrap("echo 'E: \"Failed\" \\ to fetch'; exit 100")
    result = good.run("build", "tiny", "--json")
    told = json.loads(result.stdout)
    assert result.returncode == 1 == told["exit"] and told["error"].startswith("tiny: ")
    assert told["error"] in result.stderr
    result = good.run("rm", "tiny", "--json")
    assert result.returncode == 0 and json.loads(result.stdout) == {"removed": ["tiny"]}


@pytest.mark.parametrize("args, message", [
    (["build", "nowhere"], "unknown image 'nowhere'; there are: tiny"),
    (["build", "../tiny"], "unknown image"),
    (["rm", "../tiny"], "is not the name of an image"),
    (["rm"], "needs the name"),
    (["paint"], "unknown command 'paint'"),
    (["build", "--fast"], "unknown option '--fast'"),
])
def test_wrong_use(good, args, message):
    result = good.run(*args)
    assert result.returncode == 2 and message in result.stderr and "usage:" in result.stderr


def test_only_root_builds():
    result = as_nobody("build", "toolbox")
    assert result.returncode == 1 and "only root" in result.stderr


# --- as a command of fnrun ---

def fnrun(*args):
    return subprocess.run([BUILD / "fnrun", *map(str, args)], capture_output=True, text=True, timeout=60)


def test_image_goes_to_the_image_tool():
    run = fnrun("image", "list", "--json")
    assert run.returncode == 0 and "python3.13" in [i["name"] for i in json.loads(run.stdout)]
    assert fnrun("image", "frob").returncode == 2
    assert json.loads(fnrun("--json", "image", "list").stdout) == json.loads(run.stdout)


def test_image_that_is_not_there_exits_5(tmp_path):
    run = fnrun("image", "rm", "nope", "--images", tmp_path)
    assert run.returncode == 5 and run.stdout == "" and "nope: is not built" in run.stderr
    run = fnrun("--json", "image", "rm", "nope", "--images", tmp_path)
    assert run.returncode == 5
    told = json.loads(run.stdout)
    assert told["exit"] == 5 and told["error"].startswith("nope: is not built")


# --- which mirror ---

def find_source(kind, *files):
    script = '. "$0/mirror.sh"; SUITE=trixie; kind=$1; shift; APT_SOURCES=("$@"); find_source "$kind"'
    return subprocess.run(["bash", "-euc", script, SOURCE, kind, *files], capture_output=True, text=True,
                          check=True).stdout.splitlines()


def test_mirror_from_one_line_lists(tmp_path):
    listing = tmp_path / "sources.list"
    listing.write_text("deb https://docker.example/linux/debian bookworm stable\n"
                       "deb [signed-by=/etc/apt/keyrings/tool.gpg] https://tool.example/debian bookworm main\n"
                       "# deb http://off.example/debian bookworm main\n"
                       "deb [arch=amd64] http://one.example/debian bookworm main contrib # mine\n"
                       "deb http://one.example/debian bookworm-updates main\n"
                       "deb http://security.example/ bookworm-security main\n")
    assert find_source("main", listing) == ["Types: deb", "URIs: http://one.example/debian", "Components: main",
                                            "Suites: trixie trixie-updates"]
    assert find_source("security", listing) == ["Types: deb", "URIs: http://security.example/", "Components: main",
                                                "Suites: trixie-security"]


def test_mirror_from_deb822(tmp_path):
    listing = tmp_path / "debian.sources"
    listing.write_text("Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\n\n"
                       "# why\nTypes: deb deb-src\nURIs: http://two.example/debian\nSuites: trixie trixie-updates\n"
                       "Components: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n")
    assert find_source("main", listing) == ["Types: deb", "URIs: http://two.example/debian", "Components: main",
                                            "Suites: trixie trixie-updates", "Signed-By: ",
                                            " -----BEGIN PGP PUBLIC KEY BLOCK-----", " .", " abc"]
    assert find_source("security", listing) == []
