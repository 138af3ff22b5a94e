"""The fnrun command: what it prints and how it exits, against a real instance."""

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import time
import zipfile

import pytest
from instance import BUILD, ROOT, wait_until

APP = """
import os

def handler(event, context):
    print("got", event)
    if event.get("boom"):
        raise ValueError("bad value")
    if event.get("env"):
        return os.environ.get(event["env"])
    return event
"""

OK, FAILED, USAGE, FUNCTION, UNREACHABLE, MISSING = range(6)


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of files: folder(name, {path: text})."""
    def make(name, files):
        for path, text in files.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path / name
    return make


@pytest.fixture(scope="module")
def echo(fnrun, tmp_path_factory):
    """A function that several tests call."""
    source = tmp_path_factory.mktemp("cli") / "cli-echo"
    source.mkdir()
    (source / "app.py").write_text(APP)
    run = fnrun.cli("deploy", source)
    assert run.returncode == OK, run.stderr
    yield "cli-echo"
    assert fnrun.cli("rm", "cli-echo").returncode == OK


@pytest.fixture
def cleanup(fnrun):
    """Names that are removed when the test ends."""
    names = []
    yield names.append
    for name in names:
        fnrun.cli("rm", name)


def deploy(fnrun, *args):
    run = fnrun.cli("deploy", *args, "--json")
    assert run.returncode == OK, run.stderr
    return json.loads(run.stdout)


def alone(*args, env=None, **kw):
    """Runs fnrun without an instance."""
    return subprocess.run([BUILD / "fnrun", *map(str, args)], capture_output=True, text=True, env=env, timeout=60, **kw)


def test_help_names_every_command_and_exit_code():
    run = alone("--help")
    assert run.returncode == OK
    for word in ("up", "deploy", "invoke", "list", "logs", "rm", "image", "doctor", "bench"):
        assert f"\n  {word} " in run.stdout
        own = alone(word, "--help")
        assert own.returncode == OK and own.stdout.startswith(f"usage: fnrun {word} ")
    for code in range(6):
        assert f"\n  {code}  " in run.stdout


@pytest.mark.parametrize("args, words", [
    ([], "a command is missing"),
    (["frobnicate"], "unknown command frobnicate"),
    (["list", "--frob"], "unknown option --frob"),
    (["list", "-x"], "unknown option -x"),
    (["list", "extra"], "what is extra?"),
    (["invoke"], "NAME is missing"),
    (["invoke", "f", "-p"], "-p needs an argument"),
    (["logs", "f", "--tail", "x"], "--tail takes a number"),
    (["bench", "f", "--mode", "hot"], "--mode takes cold|restore|warm|ping, not hot"),
    (["bench"], "NAME is missing"),
    (["--dump-completion", "fish"], "not for fish"),
])
def test_wrong_command_lines_exit_2(args, words):
    run = alone(*args)
    assert run.returncode == USAGE
    assert words in run.stderr and run.stdout == ""


@pytest.mark.parametrize("args", [
    ["--json", "frobnicate"], ["frobnicate", "--json"], ["list", "--frob", "--json"], ["--json"], ["invoke", "--json"],
    ["image", "frob", "--json"], ["image", "build", "frob", "--json"], ["--json", "image", "rm"],
])
def test_wrong_command_lines_are_told_as_json(args):
    run = alone(*args)
    told = json.loads(run.stdout)
    assert run.returncode == USAGE == told["exit"] and set(told) == {"error", "exit"}
    assert told["error"] in run.stderr


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_unreachable_server_exits_4():
    run = alone("--endpoint", f"http://127.0.0.1:{free_port()}", "--json", "list")
    assert run.returncode == UNREACHABLE
    assert "is `fnrun up` running?" in run.stderr
    assert json.loads(run.stdout)["exit"] == UNREACHABLE


def test_endpoint_order(fnrun):
    wrong = f"http://127.0.0.1:{free_port()}"
    clean = {k: v for k, v in os.environ.items() if k not in ("FNRUN_ENDPOINT", "AWS_ENDPOINT_URL")}
    assert alone("list", env=clean | {"AWS_ENDPOINT_URL": fnrun.endpoint}).returncode == OK
    assert alone("list", env=clean | {"AWS_ENDPOINT_URL": wrong, "FNRUN_ENDPOINT": fnrun.endpoint}).returncode == OK
    assert alone("list", "--endpoint", fnrun.endpoint, env=clean | {"FNRUN_ENDPOINT": wrong}).returncode == OK
    # A proxy for the way out of the house doesn't lead to the house's own server.
    assert alone("list", "--endpoint", fnrun.endpoint + "/", env=clean | {"http_proxy": wrong}).returncode == OK


def test_deploy_creates_and_updates(fnrun, folder, cleanup):
    cleanup("my-function")
    source = folder("my function", {"app.py": APP})
    run = fnrun.cli("deploy", source)
    assert run.returncode == OK, run.stderr
    assert run.stdout.startswith("my-function created: python3.13, app.handler, 128 MB, 3 s")
    assert "--runtime python3.13 --handler app.handler" in run.stderr
    run = fnrun.cli("deploy", source, "-m", "256", "-e", "COLOR=red", "-e", "SHAPE=a=b")
    assert run.returncode == OK, run.stderr
    assert run.stdout.startswith("my-function updated: python3.13, app.handler, 256 MB, 3 s")
    assert fnrun.cli("invoke", "my-function", "-p", '{"env": "COLOR"}').stdout == '"red"\n'
    assert fnrun.cli("invoke", "my-function", "-p", '{"env": "SHAPE"}').stdout == '"a=b"\n'
    (source / "app.py").write_text("def handler(event, context):\n    return 'new'\n")
    assert deploy(fnrun, source)["MemorySize"] == 256
    assert fnrun.cli("invoke", "my-function").stdout == '"new"\n'


def test_update_keeps_the_handler_and_says_so(fnrun, folder, cleanup):
    cleanup("renamed")
    source = folder("renamed", {"app.py": APP})
    deploy(fnrun, source)
    (source / "app.py").rename(source / "main.py")
    run = fnrun.cli("deploy", source)
    assert run.returncode == OK
    assert "stays app.handler" in run.stderr and "--handler main.handler" in run.stderr
    assert deploy(fnrun, source, "--handler", "main.handler")["Handler"] == "main.handler"


@pytest.mark.parametrize("files, runtime, handler", [
    ({"bootstrap": "#!/bin/sh\n", "app.py": APP}, "provided.al2023", "bootstrap"),
    ({"index.mjs": "export const handler = async e => e\n"}, "nodejs20.x", "index.handler"),
    ({"package.json": "{}"}, "nodejs20.x", "index.handler"),
    ({"lambda_function.py": "def lambda_handler(e, c): pass\n", "app.py": APP}, "python3.13",
     "lambda_function.lambda_handler"),
    ({"lambda_function.py": "from x import lambda_handler\n", "x.py": ""}, "python3.13",
     "lambda_function.lambda_handler"),
    ({"util.py": "def help(): pass\n", "work.py": "x = 1\ndef handler(e, c): pass\n"}, "python3.13", "work.handler"),
])
def test_deploy_guesses(fnrun, folder, cleanup, files, runtime, handler):
    cleanup("guessed")
    made = deploy(fnrun, folder("guessed", files))
    assert (made["Runtime"], made["Handler"]) == (runtime, handler)


def test_deploy_refuses_what_it_cannot_guess(fnrun, folder):
    run = fnrun.cli("deploy", folder("nothing", {"readme.txt": "x"}))
    assert run.returncode == FAILED and "--runtime" in run.stderr
    run = fnrun.cli("deploy", folder("bad", {"app.py": APP, "fnrun.json": '{"memroy": 1}'}))
    assert run.returncode == FAILED and "memroy is no option" in run.stderr
    run = fnrun.cli("deploy", folder("e", {"app.py": APP}), "--env", "nope")
    assert run.returncode == USAGE and "KEY=VALUE" in run.stderr
    assert fnrun.cli("deploy", "/nonexistent").returncode == FAILED
    run = fnrun.cli("deploy", folder("small", {"app.py": APP}), "--memory", "64")
    assert run.returncode == FAILED and "greater than or equal to 128" in run.stderr


def test_options_file_and_command_line(fnrun, folder, cleanup):
    cleanup("from-file")
    options = {"name": "from-file", "runtime": "python3.13", "handler": "app.handler", "memory": 256, "timeout": 9,
               "tmp": 600, "env": {"AA": "file", "BB": "file"}}
    source = folder("x", {"app.py": APP, "fnrun.json": json.dumps(options)})
    made = deploy(fnrun, source, "--timeout", "11", "--env", "BB=line")
    assert (made["MemorySize"], made["Timeout"], made["EphemeralStorage"]) == (256, 11, {"Size": 600})
    assert made["Environment"]["Variables"] == {"AA": "file", "BB": "line"}


LOOK = """
import os

def handler(event, context):
    return {os.path.join(d, n)[len("/var/task/"):]: oct(os.lstat(os.path.join(d, n)).st_mode)
            for d, dirs, files in os.walk("/var/task") for n in dirs + files} | {"->": os.readlink("/var/task/link")}
"""


def test_package_content(fnrun, folder, cleanup):
    cleanup("content")
    source = folder("content", {"app.py": LOOK, "bin/tool": "#!/bin/sh\n", "private": "", ".git/HEAD": "x",
                                "sub/__pycache__/x.pyc": "x", "sub/old.pyc": "x", "fnrun.json": "{}",
                                "sub/fnrun.json": "{}"})
    (source / "bin/tool").chmod(0o700)
    (source / "private").chmod(0o600)
    (source / "link").symlink_to("app.py")
    (source / "empty").mkdir()
    deploy(fnrun, source)
    seen = json.loads(fnrun.cli("invoke", "content").stdout)
    assert seen.pop("->") == "app.py"
    assert seen == {"app.py": "0o100644", "bin": "0o40755", "bin/tool": "0o100755", "private": "0o100644",
                    "link": "0o120777", "empty": "0o40755", "sub": "0o40755", "sub/fnrun.json": "0o100644"}


def test_same_files_give_the_same_package(fnrun, folder, cleanup):
    cleanup("same")
    files = {"app.py": APP, "b/c.txt": "c" * 5000, "a.txt": "a"}
    first = deploy(fnrun, folder("one", files), "--name", "same")
    other = folder("two", dict(reversed(files.items())))
    os.utime(other / "app.py", (1, 1))
    (other / "a.txt").chmod(0o640)
    second = deploy(fnrun, other, "--name", "same")
    assert first["CodeSha256"] == second["CodeSha256"]


def test_deploy_of_a_zip_file(fnrun, tmp_path, cleanup):
    cleanup("packed")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as z:
        z.writestr("app.py", APP)
    assert deploy(fnrun, tmp_path / "packed.zip")["Handler"] == "app.handler"
    assert fnrun.cli("invoke", "packed", "-p", "[]").returncode == FUNCTION
    (tmp_path / "bad.zip").write_text("no zip")
    run = fnrun.cli("deploy", tmp_path / "bad.zip")
    assert run.returncode == FAILED and "not a zip file" in run.stderr


def test_special_files_are_refused(fnrun, folder):
    source = folder("special", {"app.py": APP})
    os.mkfifo(source / "fifo")
    run = fnrun.cli("deploy", source)
    assert run.returncode == FAILED and "neither file nor folder nor symlink" in run.stderr


def test_large_package_goes_through_the_object_store(fnrun, s3, folder, cleanup):
    cleanup("large")
    source = folder("large", {"app.py": APP})
    (source / "blob").write_bytes(os.urandom(51 * 1024 * 1024))
    assert deploy(fnrun, source)["CodeSize"] > 50 * 1024 * 1024
    assert fnrun.cli("invoke", "large", "-p", "{}").stdout == "{}\n"
    assert "Contents" not in s3.list_objects_v2(Bucket="fnrun-deploy")
    (source / "blob2").write_bytes(b"")
    os.truncate(source / "blob2", 210 * 1024 * 1024)
    run = fnrun.cli("deploy", source)
    assert run.returncode == FAILED and "more than 262144000 bytes" in run.stderr


def test_invoke_payloads(fnrun, echo, tmp_path):
    assert fnrun.cli("invoke", echo).stdout == "{}\n"
    assert json.loads(fnrun.cli("invoke", echo, "-p", '{"a": "é"}').stdout) == {"a": "é"}
    (tmp_path / "event.json").write_text('{"from": "file"}')
    assert json.loads(fnrun.cli("invoke", echo, "-p", f"@{tmp_path}/event.json").stdout) == {"from": "file"}
    big = {"x": "y" * 3_000_000}
    assert json.loads(fnrun.cli("invoke", echo, "-p", "-", input=json.dumps(big)).stdout) == big
    run = fnrun.cli("invoke", echo, "-p", "no json")
    assert run.returncode == FAILED and "InvalidRequestContentException" in run.stderr and run.stdout == ""
    run = fnrun.cli("invoke", echo, "-p", "@/nonexistent")
    assert run.returncode == FAILED and "/nonexistent" in run.stderr


def test_invoke_of_a_failing_function_exits_3(fnrun, echo):
    run = fnrun.cli("invoke", echo, "-p", '{"boom": true}')
    assert run.returncode == FUNCTION
    assert json.loads(run.stdout)["errorMessage"] == "bad value"
    assert "cli-echo: Unhandled ValueError: bad value" in run.stderr
    answer = json.loads(fnrun.cli("invoke", echo, "-p", '{"boom": true}', "--json").stdout)
    assert answer["function_error"] == "Unhandled" and answer["payload"]["errorType"] == "ValueError"


def test_invoke_logs(fnrun, echo):
    run = fnrun.cli("invoke", echo, "-p", '{"mark": 7}', "--logs")
    assert run.returncode == OK and json.loads(run.stdout) == {"mark": 7}
    assert "got {'mark': 7}" in run.stderr and "REPORT RequestId: " in run.stderr
    answer = json.loads(fnrun.cli("invoke", echo, "-p", '{"mark": 8}', "--logs", "--json").stdout)
    assert answer["status"] == 200 and answer["payload"] == {"mark": 8} and "got {'mark': 8}" in answer["logs"]
    assert answer["request_id"] in answer["logs"]


def test_invoke_async(fnrun, echo):
    run = fnrun.cli("invoke", echo, "-p", '{"async": 1}', "--async")
    assert run.returncode == OK and len(run.stdout.strip()) == 36
    wait_until(lambda: f"END RequestId: {run.stdout.strip()}" in fnrun.cli("logs", echo).stdout, what="the event")
    answer = json.loads(fnrun.cli("invoke", echo, "--async", "--json").stdout)
    assert answer["status"] == 202 and len(answer["request_id"]) == 36 and "payload" not in answer


def test_missing_functions_exit_5(fnrun):
    for args in (["invoke", "absent"], ["logs", "absent"], ["rm", "absent"], ["bench", "absent", "--count", "1"]):
        run = fnrun.cli(*args)
        assert run.returncode == MISSING, args
        assert "absent" in run.stderr


def test_rm_goes_on_after_one_that_is_missing(fnrun, folder):
    source = folder("removed", {"app.py": APP})
    deploy(fnrun, source)
    run = fnrun.cli("rm", "absent", "removed")
    assert run.returncode == MISSING and run.stdout == "removed deleted\n" and "absent" in run.stderr
    deploy(fnrun, source)
    assert json.loads(fnrun.cli("rm", "removed", "--json").stdout) == {"deleted": ["removed"]}


def test_list(fnrun, lam, echo, make_function):
    names = [make_function(f"listed-{i:02}", {"app.py": APP}) for i in range(55)]
    run = fnrun.cli("list")
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    assert run.returncode == OK and set(names) <= {row[0] for row in rows}
    assert ["cli-echo", "python3.13", "app.handler", "128 MB", "3 s"] in [row[:5] for row in rows]
    functions = json.loads(fnrun.cli("list", "--json").stdout)["Functions"]
    assert [f["FunctionName"] for f in functions] == [row[0] for row in rows]


def test_output_on_a_terminal_is_for_people(fnrun, echo):
    terminal, other = pty.openpty()
    subprocess.run([fnrun.bin, "list"], env=fnrun.environment(), stdout=other, check=True)
    os.close(other)
    lines = os.read(terminal, 65536).decode().splitlines()
    os.close(terminal)
    assert lines[0].split() == ["NAME", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "MODIFIED"]
    assert "\t" not in lines[1] and lines[1].index("python3.13") == lines[0].index("RUNTIME")


def test_logs(fnrun, folder, cleanup):
    cleanup("logged")
    deploy(fnrun, folder("logged", {"app.py": "def handler(event, context):\n    print('line', event)\n"}))
    assert fnrun.cli("logs", "logged").stdout == "" or "START" not in fnrun.cli("logs", "logged").stdout
    for i in range(3):
        fnrun.cli("invoke", "logged", "-p", str(i))
    text = fnrun.cli("logs", "logged").stdout
    assert [x for x in text.splitlines() if x.startswith("line")] == ["line 0", "line 1", "line 2"]
    lines = text.splitlines(keepends=True)
    for n in (0, 1, 4, len(lines), len(lines) + 5):
        assert fnrun.cli("logs", "logged", "--tail", n).stdout == "".join(lines[len(lines) - min(n, len(lines)):])
    rows = [json.loads(line)["line"] for line in fnrun.cli("logs", "logged", "--json").stdout.splitlines()]
    assert rows == text.splitlines()


def test_logs_of_many_lines(fnrun, folder, cleanup):
    cleanup("chatty")
    deploy(fnrun, folder("chatty", {"app.py": "def handler(n, context):\n"
                                              "    for i in range(n):\n        print(i, 'x' * 50)\n"}), "-t", "30")
    fnrun.cli("invoke", "chatty", "-p", "20000")
    text = fnrun.cli("logs", "chatty").stdout
    assert sum(line.endswith("x" * 50) for line in text.splitlines()) == 20000
    for n in (300, 5000):
        assert fnrun.cli("logs", "chatty", "-n", n).stdout == "".join(text.splitlines(keepends=True)[-n:])


def test_logs_follow(fnrun, echo):
    with subprocess.Popen([fnrun.bin, "logs", echo, "-f", "--tail", "0"], env=fnrun.environment(),
                          stdout=subprocess.PIPE, text=True) as follower:
        time.sleep(0.3)
        fnrun.cli("invoke", echo, "-p", '{"follow": 1}')
        lines = []
        while not lines or "REPORT" not in lines[-1]:
            lines.append(follower.stdout.readline())
            assert lines[-1]
        assert follower.poll() is None
        follower.send_signal(signal.SIGINT)
        assert follower.wait(5) == -signal.SIGINT
    assert "got {'follow': 1}\n" in lines


def test_bench_warm(fnrun, echo):
    run = fnrun.cli("bench", echo, "--count", "50", "--json")
    assert run.returncode == OK, run.stderr
    got = json.loads(run.stdout)
    assert (got["mode"], got["count"], got["concurrency"], got["errors"]) == ("warm", 50, 1, 0)
    assert got["cold_starts"] == 0 and len(got["samples_ns"]) == len(got["constant"]["samples_ns"]) == 50
    samples = sorted(got["samples_ns"])
    assert got["ns"] == {"min": samples[0], "p50": samples[24], "p90": samples[44], "p99": samples[49],
                         "max": samples[49]}
    assert got["ratio"] == pytest.approx(got["ns"]["p50"] / got["constant"]["ns"]["p50"])
    assert got["per_second"] == pytest.approx(50e9 / got["elapsed_ns"])
    text = fnrun.cli("bench", echo, "--count", "50").stdout
    assert "p50 of warm / constant" in text and " 0 errors" in text and "|####" in text


def test_bench_cold(fnrun, echo):
    run = fnrun.cli("bench", echo, "--mode", "cold", "--count", "5", "--json")
    assert run.returncode == OK, run.stderr
    got = json.loads(run.stdout)
    assert got["cold_starts"] == 5 and got["errors"] == 0
    for total, create, init in zip(got["samples_ns"], got["create_ns"], got["init_ns"], strict=True):
        assert 0 < create and 0 < init and create + init < total
    text = fnrun.cli("bench", echo, "--mode", "cold", "--count", "3").stdout
    assert "- make sandbox" in text and "- run init" in text


def test_bench_together(fnrun, echo):
    got = json.loads(fnrun.cli("bench", echo, "--count", "60", "-c", "4", "--json").stdout)
    assert len(got["samples_ns"]) == 60 and got["errors"] == 0
    got = json.loads(fnrun.cli("bench", "--mode", "ping", "--count", "300", "-c", "16", "--json").stdout)
    assert len(got["samples_ns"]) == 300 and "function" not in got


def test_bench_counts_errors(fnrun, echo):
    run = fnrun.cli("bench", echo, "--count", "3", "-p", '{"boom": 1}', "--json")
    got = json.loads(run.stdout)
    assert run.returncode == FAILED and got["errors"] == 3 and got["samples_ns"] == []
    assert "bad value" in got["first_error"]


def test_doctor(fnrun):
    run = alone("doctor", "--json", "--listen", fnrun.endpoint.split("//")[1])
    got = json.loads(run.stdout)
    failed = [k for k in got["checks"] if k["status"] == "FAIL"]
    assert run.returncode == (FAILED if failed else OK) and got["ok"] == (not failed)
    assert failed == [], "this machine runs functions, so nothing can be missing"
    by_name = {k["name"]: k for k in got["checks"]}
    assert by_name["listen"]["detail"].startswith("fnrun answers")
    assert all("fix" in k for k in got["checks"] if k["status"] != "ok")
    assert {"root", "call clone3", "namespace net", "seccomp filters", "programs", "disk", "image python3.13",
            "mmdebstrap"} <= set(by_name)


def test_doctor_fails_with_a_fix(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        run = alone("doctor", "--images", tmp_path, "--listen", f"127.0.0.1:{taken.getsockname()[1]}", "--uid-base", "1")
    assert run.returncode == FAILED
    for words in ("FAIL  images", "fix: fnrun image build", "FAIL  listen", "Address already in use", "fix: give another",
                  "warn  uids"):
        assert words in run.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
def test_up_says_what_is_missing(tmp_path):
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    shutil.copy(BUILD / "fnrun", tmp_path / "fnrun")
    shutil.copy(BUILD / "fnrun-warden", tmp_path / "fnrun-warden")
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    run = subprocess.run([*command, tmp_path / "fnrun", "up", "--state", tmp_path / "s"], capture_output=True, text=True)
    assert run.returncode == FAILED and run.stdout == ""
    for words in ("FAIL  root", "fix: run it as root", "FAIL  programs", "there is no fnrund", "isn't ready"):
        assert words in run.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        run = alone("up", "--state", tmp_path / "s", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert run.returncode == FAILED and "Address already in use" in run.stderr


def complete(words, env, directory):
    """What bash would offer for the last of `words`."""
    script = ('source <(fnrun --dump-completion bash); compopt() { :; }; '
              'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fnrun; printf "%s\\n" "${COMPREPLY[@]}"')
    run = subprocess.run(["bash", "-c", script, "bash", "fnrun", *words], capture_output=True, text=True, check=True,
                         env=env | {"PATH": f"{BUILD}:{os.environ['PATH']}"}, cwd=directory)
    assert run.stderr == ""
    return run.stdout.split()


def test_completion(fnrun, echo, folder):
    env, here = fnrun.environment(), folder("here", {"event.json": ""})
    assert complete(["de"], env, here) == ["deploy"]
    assert "bench" in complete([""], env, here)
    assert complete(["bench", "--mo"], env, here) == ["--mode"]
    assert complete(["bench", "--mode", ""], env, here) == ["cold", "restore", "warm", "ping"]
    assert complete(["invoke", "cli-e"], env, here) == ["cli-echo"]
    assert complete(["deploy", "ev"], env, here) == ["event.json"]
    assert complete(["image", "b"], env, here) == ["build"]
    assert complete(["deploy", "--memory", ""], env, here) == []


def test_man_page_is_up_to_date():
    """`tools/man/update` writes the part of the page that comes from the table."""
    page = (ROOT / "tools/man/fnrun.1").read_text()
    made = page.split("puts it here\n", 1)[1].split(".\\\" end of what", 1)[0]
    assert made == alone("--dump-man").stdout
    run = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-z", ROOT / "tools/man/fnrun.1"], capture_output=True, text=True)
    assert run.returncode == 0 and run.stderr == ""
