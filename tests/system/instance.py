"""A real private fnrun instance, and the check that it leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("FNRUN_BUILD", "build"))
BUILD = BUILD if BUILD.is_absolute() else ROOT / BUILD
UID_BLOCK = 65536
START_SECONDS = 30

# What unmodified clients take from their environment.
CLIENT_ENV = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_PAGER": "",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


def wait_until(condition, seconds=10, what="condition"):
    """Calls `condition` until it gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.02)


def processes():
    """pid -> (parent pid, uid, command name, command line), of all that are alive."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = dict(line.split(":\t", 1) for line in (entry / "status").read_text().splitlines() if ":\t" in line)
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if status["State"][0] not in "ZX":
            found[int(entry.name)] = (int(status["PPid"]), int(status["Uid"].split()[0]), status["Name"], command)
    return found


def cgroups():
    """All cgroups of any fnrun instance, in whatever hierarchy."""
    # os.walk and not glob: groups of other instances may vanish while it looks.
    return {os.path.join(top, name) for top, names, _ in os.walk("/sys/fs/cgroup") for name in names
            if name.startswith("fnrun")}


def links():
    """Network links and named network namespaces."""
    names = set(os.listdir("/sys/class/net"))
    if os.path.isdir("/run/netns"):
        names |= {f"netns {name}" for name in os.listdir("/run/netns")}
    return names


class Instance:
    """`fnrun up` on a state directory and port of its own."""

    def __init__(self, *options, manager_options=()):
        self.bin = BUILD / "fnrun"
        self.state = Path(tempfile.mkdtemp(prefix="fnrun-test-"))
        self.state.chmod(0o755)
        # Options for fnrund that `fnrun up` does not have are given to the warden, which `fnrun up` becomes anyway.
        self.start_command = [BUILD / "fnrun-warden"] if manager_options else [self.bin, "up"]
        self.options = [*options, *(f"--manager-arg={o}" for o in manager_options)]
        self.stderr = self.state.with_name(self.state.name + ".log")
        self.port = 0
        self.proc = None
        self.uid_base = None
        self.cgroup = None
        self.links_before = links()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def launch(self):
        """Starts it and waits for nothing."""
        with open(self.stderr, "ab") as stderr:
            self.proc = subprocess.Popen(
                [*self.start_command, "--state", self.state, "--listen", f"127.0.0.1:{self.port}", *self.options],
                stdout=subprocess.PIPE, stderr=stderr, stdin=subprocess.DEVNULL)

    def start(self):
        """Starts it and waits for `ready`. A second start keeps the port, so that clients stay valid."""
        self.launch()
        line = self.proc.stdout.readline().decode()
        assert line.startswith("ready http://127.0.0.1:"), f"fnrun up said {line!r}\n{self.log()[-4000:]}"
        self.port = int(line.rsplit(":", 1)[1])
        self.remember_uids()
        return self

    def remember_uids(self):
        uid = processes()[self.pids()["fnrund"]][1]
        assert uid != 0, "fnrund runs as root"
        self.uid_base = uid

    def stop(self, how=signal.SIGTERM):
        """Ends it and returns the exit status."""
        self.remember_cgroup()
        if self.proc.poll() is None:
            self.proc.send_signal(how)
        status = self.proc.wait(START_SECONDS)
        self.proc.stdout.close()
        return status

    def remember_cgroup(self):
        """The name of the instance's cgroup, learnt from the processes in its sandboxes."""
        for pid in self.sandboxed():
            try:
                name = re.search(r"/(fnrun-[0-9a-f]{16})(/|$)", Path(f"/proc/{pid}/cgroup").read_text(), re.M)
            except (FileNotFoundError, ProcessLookupError):
                continue
            self.cgroup = name[1] if name else self.cgroup

    def sandboxed(self):
        """pid -> process, of all that run in sandboxes: those with a uid of the instance's that isn't fnrund's."""
        return {pid: p for pid, p in processes().items() if self.uid_base and 0 < p[1] - self.uid_base < UID_BLOCK}

    def in_its_mounts(self):
        """pid -> process, of all that see the mounts of its state directory: the warden and what is of its making."""
        def sees(pid):
            try:
                return str(self.state) in Path(f"/proc/{pid}/mountinfo").read_text()
            except OSError:
                return False
        return {pid: p for pid, p in processes().items() if sees(pid)}

    def restart(self, how=signal.SIGTERM):
        self.stop(how)
        return self.start()

    def pids(self):
        """{"warden": pid, "fnrund": pid}; `fnrun up` becomes the warden by exec."""
        def find():
            for pid, (parent, _, name, _) in processes().items():
                if parent == self.proc.pid and name == "fnrund":
                    return {"warden": self.proc.pid, "fnrund": pid}
            assert self.proc.poll() is None, f"fnrun is gone\n{self.log()[-4000:]}"
            return None
        return wait_until(find, what="fnrund to run")

    def log(self):
        return self.stderr.read_text(errors="replace") if self.stderr.exists() else ""

    def function_log(self, name):
        """A function's whole log; "" where it has none."""
        return self.cli("logs", name).stdout

    def status(self):
        """What fnrund counts: instances, idle, busy, ..."""
        with urllib.request.urlopen(self.endpoint + "/_fnrun/status") as answer:
            return json.load(answer)

    def wait_idle(self):
        """Until every sandbox waits for work: a runtime may need a moment between its answer and its next request."""
        def idle():
            status = self.status()
            return status["instances"] == status["idle"] and status["waiting"] == 0
        wait_until(idle, what="all sandboxes to be idle")

    def cli(self, *args, **kw):
        """Runs the fnrun command against this instance."""
        return subprocess.run([self.bin, *map(str, args)], env=self.environment(), capture_output=True, text=True, **kw)

    def aws(self, *args, ok=True):
        """Runs the unmodified aws CLI; returns what it prints, parsed if it is JSON."""
        run = subprocess.run(["/usr/bin/aws", "--endpoint-url", self.endpoint, *map(str, args)],
                             env=self.environment(), capture_output=True, text=True)
        if not ok:
            return run
        assert run.returncode == 0, f"aws {args}: {run.stderr}"
        try:
            return json.loads(run.stdout)
        except ValueError:
            return run.stdout

    def environment(self):
        return os.environ | CLIENT_ENV | {"AWS_ENDPOINT_URL": self.endpoint}

    def owns(self, process):
        parent, uid, name, command = process
        return str(self.state) in command or (self.uid_base and 0 <= uid - self.uid_base < UID_BLOCK)

    def leftovers(self):
        """What is on the machine although this instance is down. Other instances may be running: theirs don't count."""
        found = [f"process {pid}: {p}" for pid, p in processes().items() if self.owns(p)]
        mounts = Path("/proc/self/mountinfo").read_text()
        found += [f"mount: {line}" for line in mounts.splitlines() if str(self.state) in line]
        found += [f"cgroup: {path}" for path in cgroups() if self.cgroup and self.cgroup in path]
        found += [f"link: {name}" for name in links() - self.links_before]
        return found

    def check_nothing_left(self):
        deadline = time.monotonic() + 5
        while self.leftovers() and time.monotonic() < deadline:
            time.sleep(0.05)
        left = self.leftovers()
        assert not left, "left behind:\n" + "\n".join(left)

    def check_sanitizers(self):
        for mark in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:"):
            assert mark not in self.log(), self.log()[-20000:]

    def close(self):
        """Ends it for good: a clean exit, nothing left behind, no complaint of a sanitizer."""
        try:
            if self.proc and self.proc.poll() is None:
                status = self.stop()
                assert status == 0, f"exit status {status}\n{self.log()[-4000:]}"
            self.check_nothing_left()
            self.check_sanitizers()
        finally:
            if self.proc and self.proc.poll() is None:
                self.proc.kill()
            shutil.rmtree(self.state, ignore_errors=True)
            self.stderr.unlink(missing_ok=True)
