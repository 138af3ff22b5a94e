"""A sandbox from inside: its limits, what it sees, what it must not be able to do."""

import json
import os
import re
import signal
import socket

import pytest

from instance import wait_until
from warden import MB, SIGNAL, STATUS, WITH_CHANNEL


def test_memory_limit(warden):
    text, end = warden.run("eat", "20", memory_bytes=64 * MB)
    assert text == "ate 20\n" and end.cause == STATUS and end.oom_kills == 0
    assert 20 * MB <= end.memory_peak <= 64 * MB
    text, end = warden.run("eat", "200", memory_bytes=64 * MB)
    assert text == "" and (end.cause, end.value) == (SIGNAL, signal.SIGKILL)
    assert end.oom_kills >= 1 and end.memory_peak <= 64 * MB


def test_tmp_counts_as_memory(warden):
    _, end = warden.run("fill", "100", memory_bytes=64 * MB, tmp_bytes=512 * MB)
    assert (end.cause, end.value) == (SIGNAL, signal.SIGKILL) and end.oom_kills >= 1


def test_tmp_size(warden):
    text, _ = warden.run("fill", "100", tmp_bytes=16 * MB)
    assert text == f"{16 * MB} ENOSPC\n"


def test_memory_peak_can_be_read(warden):
    sandbox = warden.create("sleep")
    assert 0 < sandbox.memory_peak() < 16 * MB
    sandbox.end()


def test_cpu_limit(warden):
    """However busy the machine is: never more than its share."""
    text, end = warden.run("spin", "1000", cpu_millis=100)
    assert 0 < float(text) < 0.2
    assert 0 < end.cpu_ns < 250e6


def test_cpu_limit_can_be_changed(warden):
    """From a twentieth of a CPU to a whole one, of which a busy machine may give it only a part."""
    def share():
        sandbox = warden.create("spin", "300", cpu_millis=50)
        sandbox.cpu(1000)
        text = sandbox.text()
        sandbox.exited()
        return float(text)
    wait_until(lambda: share() > 0.2, 30, "the larger share")


def test_process_limit(warden):
    """1,024 with PID 1 and the runtime itself."""
    text, end = warden.run("fork", "2000", memory_bytes=512 * MB)
    assert text == "1022 EAGAIN\n" and (end.cause, end.value) == (STATUS, 0)


def test_file_limit(warden):
    """1,024, of which three are the standard ones."""
    assert warden.run("open", "2000")[0] == "1021 EMFILE\n"


def test_orphans_are_reaped(warden):
    """By PID 1: twice as many as there may be processes would not come to be if zombies stayed."""
    assert warden.run("orphans", "2000")[0] == "2000\n"


@pytest.fixture(scope="module")
def report(shared_warden):
    sandbox = shared_warden.create("report", uid_index=41, flags=WITH_CHANNEL)
    report = sandbox.report()
    assert sandbox.exited().value == 0
    return report


def test_view_of_ids_and_privileges(report, shared_warden):
    view, uid = report["view"], shared_warden.uid(41)
    assert view["uid"] == view["gid"] == [uid] * 3 and view["groups"] == []
    assert view["pid"] == view["sid"] == 2 and view["ppid"] == 1
    assert view["no_new_privs"] == 1 and view["seccomp"] == 2 and view["bounding_set"] == 0
    assert re.findall(r"^Cap\w+:\t(\w+)$", view["status"], re.M) == ["0" * 16] * 5
    assert view["oom_score_adj"] == "1000\n"
    assert f"sbx_user1051:x:{uid}:{uid}:" in view["passwd"]
    assert view["umask"] == 0o22 and view["cwd"] == "/var/task"


def test_view_of_namespaces(report):
    for kind, target in report["view"]["namespaces"].items():
        host = os.readlink(f"/proc/self/ns/{kind}")
        assert (target == host) == (kind in ("user", "time", "time_for_children")), kind


def test_view_of_processes_and_descriptors(report):
    view = report["view"]
    assert [p for p in view["proc"] if p.isdigit()] == ["2"], "PID 1 is another uid's and not shown"
    assert sorted(int(fd) for fd in view["fds"]) == [0, 1, 2, 15]
    assert view["fds"]["0"] == "/dev/null" and view["fds"]["1"] == view["fds"]["2"]
    assert view["fds"]["1"].startswith("pipe:") and view["fds"]["15"].startswith("socket:")


def test_view_of_files(report):
    view = report["view"]
    assert set(view["dev"]) == {"null", "zero", "full", "random", "urandom", "fd", "stdin", "stdout", "stderr"}
    assert view["tmp_bytes"] == 64 * MB and view["tmp"] == []
    assert view["keys"] == view["cmdline"] == ""
    mounts = {line.split()[4]: line.split() for line in view["mounts"].splitlines()}
    for target, fields in mounts.items():
        options = fields[5].split(",")
        assert "nosuid" in options and ("nodev" in options) == (target != "/dev"), target
        assert ("ro" in options) == (target != "/tmp"), target
        assert fields[6] == "-", "private: no peer group, no master"
    assert {"/", "/dev", "/tmp", "/proc", "/var/task", "/var/runtime", "/etc/passwd"} <= mounts.keys()


def test_view_of_the_machine(report):
    view = report["view"]
    assert view["hostname"] == "fnrun"
    assert {i["name"] for i in view["interfaces"]} == {"lo"}
    assert any(i["family"] == socket.AF_INET for i in view["interfaces"]), "lo is up and has an address"
    assert view["unix_sockets"].count("\n") == 3, "the heading and both ends of the channel"
    for line in view["cgroup"].splitlines():
        if any(c in line for c in ("memory", "cpu:", "pids", "freezer")) or line.startswith("0::") and "fnrun" in line:
            assert line.endswith(":/"), line


def test_view_of_limits(report):
    limits = {line[:26].strip(): line[26:].split()[:2] for line in report["view"]["limits"].splitlines()[1:]}
    assert limits["Max open files"] == ["1024", "1024"]
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max locked memory"] == ["65536", "65536"]
    assert limits["Max stack size"][0] == "8388608"
    for name in ("Max cpu time", "Max file size", "Max data size", "Max address space"):
        assert limits[name] == ["unlimited", "unlimited"], name


# The errno that each attempt must end with; EPERM where nothing is said. Some parts of /proc are not in every kernel.
READ_ONLY = {"EROFS", "EACCES"}
OTHERS = {
    "clone3": "ENOSYS", "io_uring": "ENOSYS", "personality_no_aslr": "ENOSYS", "fsopen": "EPERM",
    "ambient_raise": "EPERM", "clear_no_new_privs": "EINVAL", "nice_negative": "EACCES",
    "socket_packet": "EAFNOSUPPORT", "socket_vsock": "EAFNOSUPPORT", "socket_alg": "EAFNOSUPPORT",
    "socket_bluetooth": "EAFNOSUPPORT", "socket_raw": "ENOSYS", "socket_ping": "ENOSYS", "socket_sctp": "ENOSYS",
    "socket_netfilter": "ENOSYS", "socket_audit": "ENOSYS",
    "connect_outside": "ENETUNREACH", "connect_metadata": "ENETUNREACH", "connect_host_api": "ECONNREFUSED",
    "bind_port_80": "EACCES", "unix_manager": "ENOENT", "unix_abstract": "ECONNREFUSED", "unix_dbus": "ENOENT",
    "proc_kcore": {"ENODATA", "ENOENT"}, "proc_kmsg": "ENODATA", "proc_kallsyms": {"ENODATA", "ENOENT"},
    "proc_keys": {"ENODATA", "ENOENT"}, "proc_interrupts": "ENODATA", "proc_timer_list": {"EACCES", "ENOENT"},
    "chmod_null": "EROFS", "write_shm": "ENOENT", "oom_score_adj": "EROFS", "uid_map": READ_ONLY | {"ENOENT"},
    "sysrq": READ_ONLY | {"ENOENT"}, "write_passwd": READ_ONLY, "read_log": "EACCES", "pidfd_init": "OK",
    "x32": "KILLED",
    "mark_file": "ENOENT", "mark_abstract": "ECONNREFUSED", "mark_tcp": "ECONNREFUSED", "mark_shm": "ENOENT",
} | {name: "ENOENT" for name in (
    "init_environ", "init_maps", "init_mem", "init_root", "init_exe", "init_status", "host_proc", "up_and_out",
    "shadow", "host_root", "dev_mem", "dev_kmsg", "dev_tty", "dev_ptmx", "dev_fuse", "dev_kvm", "sysfs", "cgroupfs")
} | {f"write_{d}": READ_ONLY for d in ("root", "task", "runtime", "opt", "etc", "var", "dev")
} | {f"sysctl_{name}": READ_ONLY for name in ("hostname", "core_pattern", "drop_caches", "forward")}


def test_attempts(report):
    """Everything that a function must not be able to do, tried from inside. A pidfd of PID 1 gives no right over it."""
    wrong = {}
    for name, result in report["attempts"].items():
        wanted = OTHERS.get(name, "EPERM")
        if result not in (wanted if isinstance(wanted, set) else {wanted}):
            wrong[name] = f"{result}, not {wanted}"
    assert not wrong
    assert len(report["attempts"]) > 125 and set(OTHERS) <= set(report["attempts"])


def test_the_host_cannot_be_reached(warden):
    """The warden's own files by their real paths, a socket that everybody may connect to, the manager's directory."""
    for path in (warden.top / "log", warden.top / "driver", warden.state / "lock", warden.state / "data",
                 "/etc/hostname", f"/proc/{warden.process.pid}/root", f"/proc/{warden.info['pid']}/fd/3"):
        assert warden.run("reach", str(path))[0] == "ENOENT ENOENT\n", path


def test_a_massacre_reaches_nobody_else(warden):
    """kill(-1): the kernel sends it to whom the sender can see and may kill, so it finds no one."""
    other, own = warden.create("tick"), warden.create("massacre")
    assert own.text() in ("EPERM\n", "ESRCH\n") and own.exited().value == 0
    other.writes(30)
    assert other.writes(30)
    other.end()


@pytest.mark.parametrize("uid_index", [1, 2], ids=["one function", "two functions"])
def test_two_sandboxes_share_nothing(warden, uid_index):
    first = warden.create("mark", uid_index=1)
    second = warden.create("report", uid_index=uid_index)
    reports = [json.loads(first.line()), second.report()]
    marks = [{n: r for n, r in report["attempts"].items() if n.startswith("mark_")} for report in reports]
    assert set(marks[0].values()) == {"OK"}, "who left the marks finds them"
    assert marks[1] == {name: OTHERS[name] for name in marks[0]}
    views = [report["view"] for report in reports]
    for kind in ("mnt", "pid", "net", "ipc", "uts", "cgroup"):
        assert views[0]["namespaces"][kind] != views[1]["namespaces"][kind], kind
    assert views[1]["tmp"] == [] and [p for p in views[1]["proc"] if p.isdigit()] == ["2"]
    assert (views[0]["uid"] != views[1]["uid"]) == (uid_index == 2)
    second.exited()
    first.end()


def test_init_has_no_privilege(warden):
    sandbox = warden.create("sleep")
    (pid, name), = warden.of_uid(warden.uid_base + 1).items()
    with open(f"/proc/{pid}/status") as file:
        status = file.read()
    fds = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    sandbox.end()
    assert name == "fnrun-init"
    assert set(re.findall(r"^Cap\w+:\t(\w+)$", status, re.M)) == {"0" * 16}
    assert "NoNewPrivs:\t1" in status and re.search(rf"^Uid:(\t{warden.uid_base + 1}){{4}}$", status, re.M)
    kinds = sorted(re.sub(r"\[\d+\]", "", fd) for fd in fds)
    assert kinds == ["/dev/null"] * 3 + ["anon_inode:[signalfd]", "socket:"]
