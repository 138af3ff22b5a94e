"""Two functions on one machine try to find each other, the host and fnrun itself; and what the host sees of them."""

import json
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from instance import Instance, wait_until

# Runs whatever Python the event holds, so that each test shows beside its claim what it tries.
RUN = '''
import ctypes, errno, glob, json, mmap, os, signal, socket, stat, subprocess, sys, time

def handler(event, context):
    scope = globals() | {"result": None, "arg": event.get("arg")}
    exec(event["code"], scope)
    return scope["result"]
'''

# Leaves marks in every place that processes could share.
LEAVE_MARKS = '''
open("/tmp/mark", "w").write("secret")
os.chmod("/tmp/mark", 0o777)
marker = subprocess.Popen(["sleep", "1000"], env={"MARK": "secret"})
abstract = socket.socket(socket.AF_UNIX); abstract.bind(b"\\0mark"); abstract.listen()
path = socket.socket(socket.AF_UNIX); path.bind("/tmp/mark.sock"); path.listen()
tcp = socket.socket(); tcp.bind(("127.0.0.1", 7777)); tcp.listen()
libc = ctypes.CDLL(None, use_errno=True)
shm = libc.shmget(0x4d41524b, 4096, 0o1666)
sys.modules["kept"] = [abstract, path, tcp]
result = {"uid": os.getuid(), "pids": [int(p) for p in os.listdir("/proc") if p.isdigit()], "shm": shm}
'''

LOOK_FOR_MARKS = '''
def connects(family, address):
    try:
        with socket.socket(family) as s:
            s.settimeout(2)
            s.connect(address)
            return True
    except OSError as e:
        return errno.errorcode[e.errno]

libc = ctypes.CDLL(None, use_errno=True)
result = {
    "tmp": os.listdir("/tmp"), "shm_id": libc.shmget(0x4d41524b, 0, 0),
    "uid": os.getuid(), "pids": sorted(int(p) for p in os.listdir("/proc") if p.isdigit()),
    "commands": [open(f"/proc/{p}/cmdline").read() for p in os.listdir("/proc") if p.isdigit()],
    "abstract": connects(socket.AF_UNIX, b"\\0mark"), "path": connects(socket.AF_UNIX, "/tmp/mark.sock"),
    "tcp": connects(socket.AF_INET, ("127.0.0.1", 7777)), "sysv": open("/proc/sysvipc/shm").read().count("\\n"),
}
'''

CRIU = "ld-linux-x86-64"  # started by the loader of its own image
NAMESPACES = ("mnt", "pid", "net", "ipc", "uts", "cgroup")



@pytest.fixture(scope="module")
def pair(make_module_function):
    """Two functions: `a` is to be found, `b` looks for it."""
    return [make_module_function(f"isolation-{x}", {"app.py": RUN, "own.txt": f"of {x}"}, MemorySize=512, Timeout=15)
            for x in "ab"]


@pytest.fixture
def run(invoke):
    return lambda name, code, arg=None: invoke(name, {"code": code, "arg": arg}).value


def check_found_nothing(found):
    assert found["tmp"] == []
    assert found["shm_id"] == -1
    assert found["abstract"] == found["tcp"] == "ECONNREFUSED"
    assert found["path"] == "ENOENT"
    assert found["sysv"] <= 1
    assert not any("sleep" in command for command in found["commands"])


def test_two_functions_do_not_find_each_other(pair, run):
    left = run(pair[0], LEAVE_MARKS)
    found = run(pair[1], LOOK_FOR_MARKS)
    check_found_nothing(found)
    assert found["uid"] != left["uid"]
    assert found["pids"] in ([2], [1, 2])


def test_two_sandboxes_of_one_function_do_not_find_each_other(make_function, invoke):
    """They have one uid, and still nothing in common."""
    name = make_function("isolation-twins", {"app.py": RUN}, MemorySize=512, Timeout=15)
    hold = LEAVE_MARKS + "time.sleep(1.5)\n"
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(invoke, name, {"code": hold})
        found = invoke(name, {"code": "time.sleep(0.5)\n" + LOOK_FOR_MARKS}).value
        assert holding.result().value["uid"] == found["uid"]
    check_found_nothing(found)


def test_kill_everything_reaches_nobody_else(pair, run, invoke):
    run(pair[1], "sys.modules['here'] = 1")
    invoke(pair[0], {"code": "os.kill(-1, signal.SIGKILL)"})
    assert run(pair[1], "result = 'here' in sys.modules") is True


def test_a_sandbox_ended_takes_its_processes_along(make_function, invoke, run, fnrun, lam):
    """Daemonized, in a session of its own, deaf to signals: it is gone when the function is deleted."""
    name = make_function("isolation-daemon", {"app.py": RUN})
    run(name, "subprocess.Popen(['bash', '-c', 'trap \"\" TERM HUP; exec -a undying-daemon sleep 1000'], start_new_session=True)\n"
              "time.sleep(0.5)")
    def daemons():
        return [p for p in fnrun.sandboxed().values() if "undying-daemon" in p[3]]
    assert len(daemons()) == 1
    lam.update_function_configuration(FunctionName=name, Description="changed")
    wait_until(lambda: not daemons(), what="the daemon to die with its sandbox")


def test_code_is_read_only_and_ones_own(pair, run):
    found = run(pair[1], '''
def attempt(what):
    try:
        what()
        return "done"
    except OSError as e:
        return errno.errorcode[e.errno]
result = {
    "own": open("/var/task/own.txt").read(),
    "write": attempt(lambda: open("/var/task/new", "w")),
    "append": attempt(lambda: open("/var/task/app.py", "a")),
    "unlink": attempt(lambda: os.unlink("/var/task/app.py")),
    "chmod": attempt(lambda: os.chmod("/var/task/app.py", 0o777)),
    "runtime": attempt(lambda: open("/var/runtime/new", "w")),
    "root": attempt(lambda: open("/new", "w")), "etc": attempt(lambda: open("/etc/passwd", "a")),
    "dev": attempt(lambda: open("/dev/new", "w")), "opt": attempt(lambda: open("/opt/new", "w")),
    "proc": attempt(lambda: open("/proc/sys/kernel/hostname", "w")),
}
''')
    assert found.pop("own") == "of b"
    assert set(found.values()) <= {"EROFS", "EACCES", "EPERM"}, found


def test_only_tmp_can_be_written(pair, run):
    """Every directory there is, tried; /proc/PID apart, which the kernel keeps."""
    assert run(pair[0], '''
result = []
for at, folders, files in os.walk("/"):
    if at == "/proc":
        folders[:] = []
        continue
    try:
        name = os.path.join(at, ".try")
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
        os.unlink(name)
        result.append(at)
    except OSError:
        pass
result = [r for r in result if not r.startswith("/tmp/")]
''') == ["/tmp"]


def test_no_way_to_the_network_or_the_host(pair, run, fnrun):
    found = run(pair[0], '''
def connects(address):
    try:
        with socket.socket() as s:
            s.settimeout(2)
            s.connect(address)
            return True
    except OSError as e:
        return errno.errorcode.get(e.errno, "timeout")
result = {
    "links": os.listdir("/sys/class/net") if os.path.exists("/sys/class/net") else None,
    "dev": [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]],
    "unix": [line.split()[-1] for line in open("/proc/net/unix").readlines()[1:] if "/" in line],
    "api": connects(("127.0.0.1", arg)), "metadata": connects(("169.254.169.254", 80)), "out": connects(("1.1.1.1", 53)),
    "runtime_api": connects(("127.0.0.1", 9001)),
}
''', fnrun.port)
    assert found["dev"] == ["lo"] and not found["links"]
    assert found["api"] == "ECONNREFUSED"
    assert found["metadata"] == found["out"] == "ENETUNREACH"
    assert not [path for path in found["unix"] if not path.startswith("/tmp/")]
    assert found["runtime_api"] is True


def test_who_it_is(pair, run):
    me = run(pair[0], '''
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
result = {
    "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(), "host": os.uname().nodename,
    "status": {k: v.strip() for k, v in status.items() if k.startswith(("Cap", "NoNewPrivs", "Seccomp"))},
    "fds": {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")},
    "environ1": os.access("/proc/1/environ", os.R_OK), "mem1": os.access("/proc/1/mem", os.R_OK),
    "passwd": open("/etc/passwd").read(), "cgroup": open("/proc/self/cgroup").read(),
}
''')
    uid = me["uid"][0]
    assert uid >= 65536 and set(me["uid"]) == {uid} and set(me["gid"]) == {me["gid"][0]} and me["gid"][0] >= 65536
    assert set(me["groups"]) <= {me["gid"][0]}
    assert all(int(v, 16) == 0 for k, v in me["status"].items() if k.startswith("Cap")), me["status"]
    assert me["status"]["NoNewPrivs"] == "1" and me["status"]["Seccomp"] == "2"
    assert me["host"] != os.uname().nodename
    assert not me["environ1"] and not me["mem1"]
    assert f":{uid}:" in me["passwd"]
    assert "fnrun-" not in me["cgroup"], "the cgroup namespace hides where it is"
    allowed = re.compile(r"/dev/null|pipe:\[\d+\]|socket:\[\d+\]|/proc/\d+/fd")
    assert all(allowed.fullmatch(target) for target in me["fds"].values()), me["fds"]


@pytest.mark.parametrize("call, allowed", [
    ("unshare(0x10000000)", {"EPERM", "ENOSYS"}),               # CLONE_NEWUSER
    ("mount(b'none', b'/tmp', b'tmpfs', 0, None)", {"EPERM", "ENOSYS"}),
    ("umount2(b'/var/task', 2)", {"EPERM", "ENOSYS"}),
    ("chroot(b'/tmp')", {"EPERM", "ENOSYS"}),
    ("setns(0, 0)", {"EPERM", "ENOSYS", "EINVAL"}),
    ("ptrace(16, 1, 0, 0)", {"EPERM", "ENOSYS"}),               # PTRACE_ATTACH to PID 1
    ("setuid(0)", {"EPERM"}),
    ("setgid(0)", {"EPERM"}),
    ("sethostname(b'x', 1)", {"EPERM", "ENOSYS"}),
    ("reboot(0)", {"EPERM", "ENOSYS", "EINVAL"}),
    ("syscall(321, 0, 0, 0)", {"EPERM", "ENOSYS"}),             # bpf
    ("syscall(323, 0)", {"EPERM", "ENOSYS"}),                   # userfaultfd
    ("syscall(298, 0, 0, 0, 0, 0)", {"EPERM", "ENOSYS"}),       # perf_event_open
    ("syscall(425, 1, 0)", {"ENOSYS", "EPERM"}),                # io_uring_setup
    ("syscall(248, b'user', b'd', b'p', 1, -3)", {"EPERM", "ENOSYS"}),  # add_key
    ("syscall(304, -100, b'x', 0)", {"EPERM", "ENOSYS"}),       # open_by_handle_at
    ("syscall(246, 0, 0, 0, 0)", {"EPERM", "ENOSYS"}),          # kexec_load
    ("syscall(313, 0, b'', 0)", {"EPERM", "ENOSYS"}),           # finit_module
    ("mknod(b'/tmp/device', 0o60666, 0x0801)", {"EPERM", "ENOSYS"}),
])
def test_privileged_calls_fail(pair, run, call, allowed):
    found = run(pair[0], f"libc = ctypes.CDLL(None, use_errno=True)\nr = libc.{call}\n"
                         "result = 'done' if r >= 0 else errno.errorcode[ctypes.get_errno()]")
    assert found in allowed


def test_memory_of_another_process_of_the_machine(pair, run, fnrun):
    """The host's pids mean nothing inside."""
    pids = [fnrun.pids()["fnrund"], fnrun.pids()["warden"], os.getpid()]
    assert run(pair[0], "result = [os.path.exists(f'/proc/{pid}') for pid in arg]", pids) == [False] * 3


def test_setuid_programs_give_nothing(pair, run):
    assert run(pair[0], '''
result = []
for at, folders, files in os.walk("/"):
    if at == "/proc":
        folders[:] = []
    for f in files:
        mode = os.lstat(os.path.join(at, f)).st_mode if os.path.lexists(os.path.join(at, f)) else 0
        if mode & 0o6000 and stat.S_ISREG(mode):
            result.append(os.path.join(at, f))
''') == []
    assert run(pair[0], "result = all('nosuid' in line.split()[5] for line in open('/proc/self/mountinfo'))") is True


def test_devices(pair, run):
    found = run(pair[0], "result = {d: stat.S_ISCHR(os.lstat('/dev/' + d).st_mode) for d in os.listdir('/dev')}")
    devices = {name for name, character in found.items() if character}
    assert {"null", "zero", "full", "random", "urandom"} <= devices <= {"null", "zero", "full", "random", "urandom", "tty"}


def look_at(pid):
    """(status, {namespace: its link}) of a process; None of one that has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return status, {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in NAMESPACES}
    except (FileNotFoundError, ProcessLookupError):
        return None


def test_what_the_host_sees(pair, run, fnrun):
    """Every process in a sandbox, PID 1 too: no capability, no_new_privs, no uid of anybody else's, no namespace of ours."""
    uid = run(pair[0], "result = os.getuid()")
    found = fnrun.sandboxed()
    assert uid in {p[1] for p in found.values()}
    seen = {pid: look for pid in found if (look := look_at(pid))}
    for pid, (status, namespaces) in seen.items():
        name = found[pid][2]
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M), name
        assert not set(namespaces.values()) & set(look_at("self")[1].values()), name
        if name == CRIU:  # it waits in a sandbox where nothing of a function runs yet
            company = {found[p][2] for p, (_, others) in seen.items() if others["pid"] == namespaces["pid"]}
            assert company <= {CRIU, "fnrun-init"}, company
        else:
            assert re.search(r"^CapEff:\t0+$", status, re.M), name


def test_fnrund_has_no_privilege(fnrun):
    status = Path(f"/proc/{fnrun.pids()['fnrund']}/status").read_text()
    assert re.search(rf"^Uid:\t{fnrun.uid_base}\t{fnrun.uid_base}\t{fnrun.uid_base}\t{fnrun.uid_base}$", status, re.M)
    for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert re.search(rf"^{field}:\t0+$", status, re.M), field
    assert re.search(r"^NoNewPrivs:\t1$", status, re.M)


def test_state_is_closed_to_other_users(fnrun):
    assert (fnrun.state / "data").stat().st_mode & 0o077 == 0
    assert (fnrun.state / "data").stat().st_uid == fnrun.uid_base


def uid_block(path):
    """The block that a state path leads to: sandbox/state.c."""
    value = 0xCBF29CE484222325
    for byte in os.fsencode(path):
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value % 3000


def test_two_instances_have_uids_of_their_own(own_fnrun):
    """Also where their paths lead to the same block; each keeps its own over a restart."""
    other = Instance()
    other.state.rmdir()
    wanted = uid_block(own_fnrun.state.resolve())
    other.state = next(p for i in range(10**6)
                       if uid_block(p := Path(tempfile.gettempdir()).resolve() / f"fnrun-test-twin-{i}") == wanted)
    try:
        other.start()
        first = other.uid_base
        assert first != own_fnrun.uid_base
        other.stop()
        own_fnrun.stop()
        assert other.start().uid_base == first
    finally:
        other.close()
    own_fnrun.start()
