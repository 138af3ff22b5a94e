"""fnrun-warden alone, with the test as its manager: sandboxes from creation to the last trace."""

import errno
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from instance import processes, wait_until
from warden import (CODE_DIGEST, EXITED, EXPIRED, FAILED, KILLED, SIGNAL, STATUS, UID_BASE, WITH_CHANNEL, Warden,
                    create_message, median_ms, pause)

MB = 1 << 20


@pytest.fixture(scope="module")
def shared():
    warden = Warden().start()
    yield warden
    warden.close()


@pytest.fixture
def warden(shared):
    yield shared
    assert not shared.waiting or not any(shared.waiting.values()), "answers that nobody asked for"
    wait_until(lambda: len(shared.groups()) <= 5, what="the control groups of the test's sandboxes to go")


@pytest.fixture
def own():
    """A warden of the test's own, that may die."""
    warden = Warden("--max-deaths", "0").start()
    yield warden
    warden.close()


def test_runs_and_reports_the_exit_status(warden):
    text, end = warden.run("exit", "7")
    assert (end.cause, end.value, end.oom_kills) == (STATUS, 7, 0)
    assert end.memory_peak > 0 and end.cpu_ns > 0


def test_reports_the_signal(warden):
    for signo in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGPIPE):
        _, end = warden.run("signal", str(int(signo)))
        assert (end.cause, end.value) == (SIGNAL, signo)


def test_passes_arguments_and_environment_untouched(warden):
    odd = ["A=1", "EMPTY=", "=", "no equals sign", "NL=a\nb", "UTF=ä€", "A=2"]
    view = warden.create("report", "a b", "", env=odd).report()["view"]
    assert [e.encode("latin-1").decode() for e in view["env"]] == odd


def test_the_most_arguments_and_environment(warden):
    env = [f"V{i}=" + "x" * 110 for i in range(256)]
    text, end = warden.run("exit", *["a"] * 14, env=env)
    assert (end.cause, end.value) == (STATUS, 0)


@pytest.mark.parametrize("argv, fields, text", [
    (["/bin/none"], {}, "exec /bin/none: No such file or directory"),
    (["/bin/not-a-program"], {}, "exec /bin/not-a-program: Exec format error"),
    (["/var/task/own.txt"], {}, "exec /var/task/own.txt: Permission denied"),
    (["/bin/probe"], {"image": "none"}, "No such file or directory"),
    (["/bin/probe"], {"image_digest": "f" * 16}, "No such file or directory"),
    (["/bin/probe"], {"code_digest": "f" * 64}, "No such file or directory"),
    (["/bin/probe"], {"runtime_dir": "none"}, "No such file or directory"),
])
def test_what_cannot_be_made_fails_with_a_reason(warden, argv, fields, text):
    code, said = warden.refused(*argv, **fields)
    assert text in said
    assert code in (errno.ENOENT, errno.ENOEXEC, errno.EACCES)


def test_an_image_that_leads_elsewhere_is_refused(warden):
    """Neither the image itself nor a place in it where something is mounted may be a symbolic link."""
    image = warden.images / "probe"
    (image / ("a" * 16)).mkdir()
    (image / ("a" * 16) / "rootfs").symlink_to("/")
    code, said = warden.refused("/bin/probe", image_digest="a" * 16)
    assert code == errno.ELOOP, said
    subprocess.run(["cp", "-a", image / "0123456789abcdef", image / ("b" * 16)], check=True)
    (image / ("b" * 16) / "rootfs/tmp").rmdir()
    (image / ("b" * 16) / "rootfs/tmp").symlink_to("/var")
    code, said = warden.refused("/bin/probe", image_digest="b" * 16)
    assert code == errno.ELOOP, said


def test_too_little_memory_to_start(warden):
    """Whatever the kernel does about it, it ends in an ordinary failure."""
    number = warden.ask("/bin/probe", "exit", "0", memory_bytes=4 * MB, env=["X=" + "y" * 10000])
    kind, answer, fds = warden.answer(number)
    for fd in fds:
        os.close(fd)
    if kind != FAILED:
        assert warden.answer(number)[0] == EXITED


def test_kill(warden):
    sandbox = warden.create("sleep")
    sandbox.kill()
    assert sandbox.exited().cause == KILLED


def test_kill_takes_all_processes(warden):
    sandbox = warden.create("fork", "50")
    inside = lambda: [p for p in processes().values() if p[1] == UID_BASE + 2]
    wait_until(lambda: not inside() or len(inside()) >= 50, what="the children")
    sandbox.kill()
    sandbox.exited()
    assert not inside()


def test_kill_of_a_frozen_one(warden):
    sandbox = warden.create("sleep")
    sandbox.freeze()
    sandbox.kill()
    assert sandbox.exited().cause == KILLED


def test_kill_right_after_create(warden):
    number = warden.ask("/bin/probe", "sleep")
    warden.send(b"".join(n.to_bytes(s, "little") for n, s in ((1, 4), (2, 4), (number, 8))))
    kind, answer, fds = warden.answer(number)
    for fd in fds:
        os.close(fd)
    if kind == FAILED:
        assert answer.code == errno.ECANCELED
    else:
        assert warden.answer(number)[1].cause == KILLED


def test_freeze_stops_it(warden):
    sandbox = warden.create("spin", "300")
    sandbox.freeze()
    time.sleep(1)
    sandbox.freeze(False)
    assert float(sandbox.text()) < 0.5
    assert sandbox.exited().cause == STATUS


def test_lease_runs_out(warden):
    start = time.monotonic()
    sandbox = warden.create("sleep", lease_ms=200)
    assert sandbox.exited().cause == EXPIRED
    assert 0.15 < time.monotonic() - start < 2


def test_lease_kills_a_frozen_one(warden):
    sandbox = warden.create("sleep", lease_ms=200)
    sandbox.freeze()
    assert sandbox.exited().cause == EXPIRED


def test_lease_can_be_moved_and_lifted(warden):
    sandbox = warden.create("sleep", lease_ms=300)
    sandbox.lease(0)
    time.sleep(0.5)
    sandbox.lease(100)
    sandbox.lease(600)
    time.sleep(0.3)
    start = time.monotonic()
    assert sandbox.exited().cause == EXPIRED
    assert time.monotonic() - start < 2


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
    sandbox.kill()
    sandbox.exited()


def test_cpu_limit(warden):
    text, end = warden.run("spin", "500", cpu_millis=100)
    assert 0.05 < float(text) < 0.2
    assert 25e6 < end.cpu_ns < 150e6


def test_cpu_limit_can_be_changed(warden):
    sandbox = warden.create("spin", "500", cpu_millis=100)
    sandbox.cpu(1000)
    assert float(sandbox.text()) > 0.35
    sandbox.exited()


def test_process_limit(warden):
    text, end = warden.run("fork", "2000", memory_bytes=512 * MB)
    count, error = text.split()
    assert 1000 <= int(count) < 1024 and error == "EAGAIN"


def test_orphans_are_reaped(warden):
    """By PID 1: they must not fill the process limit as zombies."""
    sandbox = warden.create("orphan")
    time.sleep(0.3)
    states = [Path(f"/proc/{pid}/stat").read_text().split()[2] for pid, p in processes().items() if p[1] == UID_BASE + 2]
    zombies = [s for s in Path("/proc").glob("[0-9]*/status") if is_zombie_of(s, UID_BASE + 2)]
    sandbox.kill()
    sandbox.exited()
    assert len(states) == 1 and not zombies


def is_zombie_of(status, uid):
    try:
        text = status.read_text()
    except OSError:
        return False
    return "State:\tZ" in text and f"Uid:\t{uid}" in text


def test_what_the_runtime_leaves_behind_is_killed(warden):
    _, end = warden.run("daemonize")
    assert (end.cause, end.value) == (STATUS, 5)


def test_channel(warden):
    sandbox = warden.create("channel", flags=WITH_CHANNEL)
    with socket.socket(fileno=os.dup(sandbox.channel[0])) as channel:
        channel.sendall(b"there and back")
        assert channel.recv(100) == b"there and back"
        channel.shutdown(socket.SHUT_RDWR)
    assert sandbox.exited().value == 0


@pytest.mark.parametrize("port, which", [("9001", "api"), ("9002", "aws")])
def test_listening_sockets(warden, port, which):
    sandbox = warden.create("api", port)
    with socket.socket(fileno=os.dup(getattr(sandbox, which))) as listener:
        listener.settimeout(5)
        connection, peer = listener.accept()
        with connection:
            assert peer[0] == "127.0.0.1"
            assert connection.recv(5) == b"hello"
            connection.sendall(b"good day")
    assert sandbox.text() == "good day"
    assert sandbox.exited().value == 0


def test_too_many_sandboxes():
    warden = Warden("--max-sandboxes", "2").start()
    first, second = warden.create("sleep"), warden.create("sleep")
    code, text = warden.refused("/bin/probe", "sleep")
    assert code == errno.EAGAIN and "2 sandboxes" in text
    first.kill()
    first.exited()
    third = warden.create("exit", "0")
    third.exited()
    second.close()
    warden.close()


# --- what the sandbox looks like from inside


@pytest.fixture(scope="module")
def report(shared):
    return shared.create("report", uid_index=41, flags=WITH_CHANNEL).report_and_end() if False else make_report(shared)


def make_report(warden):
    sandbox = warden.create("report", uid_index=41, flags=WITH_CHANNEL)
    report = sandbox.report()
    assert sandbox.exited().value == 0
    return report


def test_view_of_ids_and_privileges(report):
    view, uid = report["view"], UID_BASE + 2 + 41
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
    assert sorted(view["dev"]) == sorted(["null", "zero", "full", "random", "urandom", "fd", "stdin", "stdout", "stderr"])
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


# The errno that each attempt must end with; EPERM where nothing is said.
OTHERS = {
    "clone3": "ENOSYS", "io_uring": "ENOSYS", "personality_no_aslr": "ENOSYS", "fsopen": "EPERM",
    "ambient_raise": "EPERM", "clear_no_new_privs": "EINVAL", "nice_negative": "EACCES",
    "ptrace_init": "EPERM", "init_environ": "ENOENT", "init_maps": "ENOENT", "init_mem": "ENOENT", "init_root": "ENOENT",
    "init_exe": "ENOENT", "init_status": "ENOENT",
    "socket_packet": "EAFNOSUPPORT", "socket_vsock": "EAFNOSUPPORT", "socket_alg": "EAFNOSUPPORT",
    "socket_bluetooth": "EAFNOSUPPORT", "socket_raw": "ENOSYS", "socket_ping": "ENOSYS", "socket_sctp": "ENOSYS",
    "socket_netfilter": "ENOSYS", "socket_audit": "ENOSYS",
    "connect_outside": "ENETUNREACH", "connect_metadata": "ENETUNREACH", "connect_host_api": "ECONNREFUSED",
    "bind_port_80": "EACCES", "unix_manager": "ENOENT", "unix_abstract": "ECONNREFUSED", "unix_dbus": "ENOENT",
    "shadow": "ENOENT", "host_root": "ENOENT", "dev_mem": "ENOENT", "dev_kmsg": "ENOENT", "dev_tty": "ENOENT",
    "dev_ptmx": "ENOENT", "dev_fuse": "ENOENT", "dev_kvm": "ENOENT", "sysfs": "ENOENT", "cgroupfs": "ENOENT",
    "proc_kcore": "ENODATA", "proc_kmsg": "ENODATA", "proc_kallsyms": "ENODATA", "proc_keys": "ENODATA",
    "proc_interrupts": "ENODATA", "proc_timer_list": "EACCES", "chmod_null": "EROFS", "write_shm": "ENOENT",
    "sysrq": {"EROFS", "EACCES"}, "sysctl_hostname": {"EROFS", "EACCES"}, "sysctl_core_pattern": {"EROFS", "EACCES"},
    "sysctl_drop_caches": {"EROFS", "EACCES"}, "sysctl_forward": {"EROFS", "EACCES"}, "oom_score_adj": "EROFS",
    "uid_map": "EROFS", "write_passwd": {"EROFS", "EACCES"}, "pidfd_init": "OK", "x32": "KILLED",
} | {f"write_{d}": {"EROFS", "EACCES"} for d in ("root", "task", "runtime", "opt", "etc", "var", "dev")}


def test_attempts(report):
    """Everything that a function must not be able to do, tried from inside. (A pidfd of PID 1 gives no right over it.)"""
    wrong = {}
    for name, result in report["attempts"].items():
        wanted = OTHERS.get(name, "EPERM")
        if result not in (wanted if isinstance(wanted, set) else {wanted}):
            wrong[name] = f"{result}, not {wanted}"
    assert not wrong
    assert len(report["attempts"]) > 120


def test_two_sandboxes_share_nothing(warden):
    first, second = warden.create("report", uid_index=1), warden.create("report", uid_index=2)
    views = [s.report()["view"] for s in (first, second)]
    assert first.exited().value == second.exited().value == 0
    for kind in ("mnt", "pid", "net", "ipc", "uts", "cgroup"):
        assert views[0]["namespaces"][kind] != views[1]["namespaces"][kind], kind
    assert views[0]["uid"] != views[1]["uid"]
    assert views[0]["passwd"] != views[1]["passwd"]


def test_init_has_no_privilege(warden):
    sandbox = warden.create("sleep")
    inits = {pid: p for pid, p in processes().items() if p[1] == UID_BASE + 1}
    assert [p[2] for p in inits.values()] == ["fnrun-init"]
    pid, = inits
    status = Path(f"/proc/{pid}/status").read_text()
    fds = {os.readlink(f) for f in Path(f"/proc/{pid}/fd").iterdir()}
    sandbox.kill()
    sandbox.exited()
    assert set(re.findall(r"^Cap\w+:\t(\w+)$", status, re.M)) == {"0" * 16}
    assert "NoNewPrivs:\t1" in status and re.search(rf"^Uid:(\t{UID_BASE + 1}){{4}}$", status, re.M)
    assert fds <= {"/dev/null", "anon_inode:[signalfd]"} | {f for f in fds if f.startswith("socket:")} and len(fds) == 3


# --- the manager's side


def test_manager_is_started_as_agreed(shared):
    assert shared.info["fds"] == [3, 4, 5], "5 is the stand-in's own"
    argv = shared.info["argv"]
    assert dict(zip(argv[1::2], argv[2::2])).items() >= {
        "--images": str(shared.images.resolve()), "--runtimes": str((shared.libexec / "runtimes").resolve()),
        "--listen-name": "127.0.0.1:0"}.items()
    status = Path(f"/proc/{shared.info['pid']}/status").read_text()
    assert re.search(rf"^Uid:(\t{UID_BASE}){{4}}$", status, re.M) and re.search(r"^Groups:\t *$", status, re.M)
    assert set(re.findall(r"^Cap\w+:\t(\w+)$", status, re.M)) == {"0" * 16} and "NoNewPrivs:\t1" in status
    assert os.readlink(f"/proc/{shared.info['pid']}/cwd") == str((shared.state / "data").resolve())
    assert shared.api.getsockname()[0] == "127.0.0.1"


def test_warden_keeps_few_capabilities(shared):
    status = Path(f"/proc/{shared.process.pid}/status").read_text()
    kept = [0, 1, 5, 6, 7, 8, 12, 21]
    for line in re.findall(r"^Cap(?:Prm|Eff|Bnd):\t(\w+)$", status, re.M):
        assert int(line, 16) & ~sum(1 << c for c in kept) == 0, line


def bad_messages():
    good = create_message(1000, ["/bin/probe", "sleep"], ["A=1"])
    yield from (good[:n] for n in (1, 8, 15, 16, 100, len(good) - 1))
    yield good + b"\0"
    yield b"\2" + good[1:]
    for kind in (0, 5, 6, 7, 8, 2**32 - 1):
        yield good[:4] + kind.to_bytes(4, "little") + good[8:]
    for fields in ({"image": "../x"}, {"image": "a/b"}, {"image": ".."}, {"image": ""}, {"image": b"x" * 64},
                   {"image_digest": "0123456789ABCDEF"}, {"image_digest": "0123"}, {"code_digest": "../" + "0" * 61},
                   {"runtime_dir": "../../etc"}, {"runtime_dir": ".hidden"}, {"flags": 2}, {"uid_index": 65000},
                   {"uid_index": 2**32 - 1}, {"memory_bytes": 0}, {"memory_bytes": 2**63}, {"tmp_bytes": 0},
                   {"cpu_millis": 0}, {"lease_ms": 0}, {"lease_ms": 15 * 60 * 1000 + 15001}, {"argc": 0}, {"argc": 3},
                   {"envc": 0}, {"envc": 2**32 - 1}, {"strings_bytes": 0}):
        yield create_message(1000, ["/bin/probe", "sleep"], ["A=1"], **fields)
    yield create_message(1000, ["/bin/probe"] + ["x"] * 16)
    yield create_message(1000, ["/bin/probe"], ["x"] * 257)
    yield create_message(1000, ["/bin/probe"], ["x" * 33000])


def test_bad_messages_end_the_manager(own):
    """Each of them: the manager is killed, its sandboxes with it, and a new one started."""
    for n, message in enumerate(bad_messages()):
        pid = own.info["pid"]
        if n % 10 == 0:
            own.create("sleep")
        own.send(message)
        own.meet_manager()
        assert pid != own.info["pid"] and own.process.poll() is None, message
        own.next = 0
    wait_until(lambda: len(own.groups()) <= 5, what="the sandboxes of the killed managers to go")


def test_unasked_descriptors_end_the_manager(own):
    socket.send_fds(own.manager, [b"".join(n.to_bytes(s, "little") for n, s in ((1, 4), (2, 4), (1, 8)))], [0])
    own.meet_manager()
    socket.send_fds(own.manager, [b"x"], [0] * 30)
    own.meet_manager()
    wait_until(lambda: len(os.listdir(f"/proc/{own.process.pid}/fd")) < 40, what="the descriptors to be closed")


def test_the_same_id_twice_ends_the_manager(own):
    own.create("sleep")
    own.next -= 1
    own.ask("/bin/probe", "sleep")
    own.meet_manager()


def test_mutated_messages(own):
    """Thousands of messages with some bytes changed: most are invalid, some are valid and do something."""
    rng = random.Random(1)
    kinds = [create_message(5, ["/bin/probe", "sleep"], ["A=1"], lease_ms=100)]
    kinds += [b"".join(x.to_bytes(4, "little") for x in words) for words in
              ((1, 2, 5, 0), (1, 3, 5, 0, 500, 0), (1, 4, 5, 0, 500, 0))]
    restarts, deadline = 0, time.monotonic() + 20
    for n in range(4000):
        message = bytearray(rng.choice(kinds))
        for _ in range(rng.choice([0, 1, 1, 2, 8])):
            message[rng.randrange(len(message))] = rng.randrange(256)
        message[4:8] = message[4:8] if rng.random() < 0.1 else rng.choice(kinds)[4:8]
        try:
            own.send(bytes(message))
        except (BrokenPipeError, ConnectionResetError):
            own.meet_manager()
            restarts += 1
        if time.monotonic() > deadline:
            break
    assert own.process.poll() is None and restarts > 5
    with pytest.raises((AssertionError, OSError)):  # whatever the state is: one more, surely invalid
        own.send(b"")
        while own.receive():
            pass
    own.meet_manager()
    own.next = 10_000
    assert own.run("exit", "3")[1].value == 3


def test_killed_manager_takes_its_sandboxes_along(own):
    own.create("sleep")
    own.create("sleep", uid_index=1).freeze()
    os.kill(own.info["pid"], signal.SIGKILL)
    own.meet_manager()
    wait_until(lambda: len(own.groups()) <= 5, what="the sandboxes to go")
    assert own.run("exit", "4")[1].value == 4


def test_manager_that_dies_again_and_again():
    warden = Warden().start()
    for _ in range(4):
        os.kill(warden.info["pid"], signal.SIGKILL)
        warden.meet_manager()
    os.kill(warden.info["pid"], signal.SIGKILL)
    assert warden.process.wait(10) == 1
    assert "giving up" in warden.log()
    warden.close()


def test_a_manager_that_does_not_read(own):
    """Its answers wait in the warden; it goes on with everything else."""
    numbers = [own.ask("/bin/none") for _ in range(700)]
    for number in numbers:
        assert own.answer(number)[0] == FAILED


def test_stop_is_clean():
    warden = Warden().start()
    for n in range(5):
        warden.create("sleep", uid_index=n)
    assert warden.stop(signal.SIGINT) == 0
    assert not warden.leftovers()
    warden.close()


def test_hangup_is_ignored(shared):
    shared.process.send_signal(signal.SIGHUP)
    assert shared.run("exit", "0")[1].value == 0


def test_two_wardens_on_one_state(shared):
    run = subprocess.run(shared.command(), capture_output=True, text=True, timeout=20)
    assert run.returncode == 1 and "in use by another fnrun-warden" in run.stderr
    assert shared.run("exit", "0")[1].value == 0


@pytest.mark.parametrize("options, text", [
    (["--nonsense"], "unknown option"), (["--uid-base", "x"], "not a number"), (["--uid-base", "0x"], "not a number"),
    (["--listen", "nowhere"], "not ADDR:PORT"), (["--listen", "1.2.3.4.5:1"], "--listen"),
    (["--images", "/nonexistent"], "--images"), (["--user", "no-such-user"], "no user"), (["--user", "root"], "must not run as"),
    (["--uid-base", "4294967295"], "outside"), (["--state"], "needs a value"), (["--verbose=1"], "takes no value"),
])
def test_wrong_options(tmp_path, options, text):
    warden = Warden()
    run = subprocess.run(warden.command("--state", tmp_path / "state", *options), capture_output=True, text=True, timeout=20)
    assert run.returncode in (1, 2) and text in run.stderr
    assert len(run.stderr.splitlines()) == 1
    warden.process = run and subprocess.Popen(["true"])
    warden.close()


@pytest.mark.parametrize("moment", [0, 0.001, 0.003, 0.01, 0.1])
def test_killed_warden_leaves_nothing_after_a_restart(moment):
    """At any moment: some sandboxes run, one is frozen, one is being made."""
    warden = Warden().start()
    for n in range(3):
        warden.create("fork", "5", uid_index=n)
        warden.create("daemonize", uid_index=n)
    warden.create("sleep", uid_index=9).freeze()
    warden.ask("/bin/probe", "sleep", uid_index=10)
    time.sleep(moment)
    warden.stop(signal.SIGKILL)
    warden.start()
    wait_until(lambda: len(warden.groups()) <= 5 and len(warden.members()) <= 2, what="the old life to be swept")
    assert warden.run("exit", "0")[1].value == 0
    warden.close()


def test_many_cycles_leak_nothing(warden, capsys):
    """Also shows how long creation takes, one at a time, on a machine that does nothing else in between."""
    warden.run("exit", "0")
    fds_before = len(os.listdir(f"/proc/{warden.process.pid}/fd"))
    took = []
    for n in range(200):
        sandbox = warden.create("sleep", uid_index=n % 7, flags=WITH_CHANNEL)
        took.append(sandbox.created.create_ns)
        sandbox.kill()
        assert sandbox.exited().cause == KILLED
        pause()
    wait_until(lambda: len(os.listdir(f"/proc/{warden.process.pid}/fd")) <= fds_before + 12, what="descriptors to be closed")
    with capsys.disabled():
        print("\n  sandbox creation to exec: " + ", ".join(f"{k} {v:.2f} ms" for k, v in median_ms(took).items()))


def test_many_at_once(warden):
    sandboxes = []
    numbers = [warden.ask("/bin/probe", "sleep", uid_index=n) for n in range(50)]
    for number in numbers:
        kind, answer, fds = warden.answer(number)
        assert kind != FAILED, answer.text
        sandboxes.append((number, fds))
    for number, fds in sandboxes:
        warden.send(b"".join(n.to_bytes(s, "little") for n, s in ((1, 4), (2, 4), (number, 8))))
    for number, fds in sandboxes:
        assert warden.answer(number)[1].cause == KILLED
        for fd in fds:
            os.close(fd)
