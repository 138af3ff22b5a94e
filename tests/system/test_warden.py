"""fnrun-warden alone, with the test as its manager: the life of a sandbox, and the warden's own start and end."""

import errno
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from instance import wait_until
from warden import (CODE_DIGEST, CREATED, EXPIRED, FAILED, IMAGE_DIGEST, KILLED, MB, SIGNAL, STATUS, WITH_CHANNEL,
                    Warden, kill_message)


def test_runs_and_reports_the_exit_status(warden):
    text, end = warden.run("exit", "7")
    assert (text, end.cause, end.value, end.oom_kills) == ("", STATUS, 7, 0)
    assert end.memory_peak > 0 and end.cpu_ns > 0


def test_reports_the_signal(warden):
    for signo in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGPIPE):
        _, end = warden.run("signal", str(int(signo)))
        assert (end.cause, end.value) == (SIGNAL, signo)


def test_passes_arguments_and_environment_untouched(warden):
    odd = ["A=1", "EMPTY=", "=", "no equals sign", "NL=a\nb", "UTF=ä€", "A=2"]
    text, _ = warden.run("echo", "a b", "", "ü\n", env=odd)
    assert text == "a b\0\0ü\n\0" + "".join(f"{e}\0" for e in odd)


def test_the_most_arguments_and_environment(warden):
    env = [f"V{i}=" + "x" * 44 for i in range(640)]
    text, _ = warden.run("echo", *["a"] * 14, env=env)
    assert text == "a\0" * 14 + "".join(f"{e}\0" for e in env)


@pytest.mark.parametrize("argv, fields, code, said", [
    ("/bin/none", {}, errno.ENOENT, "exec /bin/none: No such file or directory"),
    ("/bin/not-a-program", {}, errno.ENOEXEC, "exec /bin/not-a-program: Exec format error"),
    ("/var/task/own.txt", {}, errno.EACCES, "exec /var/task/own.txt: Permission denied"),
    ("/bin/probe", {"image": "none"}, errno.ENOENT, f"none/{IMAGE_DIGEST}/rootfs: No such file or directory"),
    ("/bin/probe", {"image_digest": "f" * 16}, errno.ENOENT, f"probe/{'f' * 16}/rootfs: No such file or directory"),
    ("/bin/probe", {"code_digest": "f" * 64}, errno.ENOENT, f"{'f' * 64}/tree: No such file or directory"),
    ("/bin/probe", {"runtime_dir": "none"}, errno.ENOENT, "none: No such file or directory"),
])
def test_what_cannot_be_made_fails_with_a_reason(warden, argv, fields, code, said):
    told, text = warden.refused(argv, **fields)
    assert (told, text[-len(said):]) == (code, said)


def test_the_reason_arrives_however_late_it_is_read(warden):
    """The children are dead, with their specification unread, before the warden comes to look what they said."""
    numbers = [warden.ask("/bin/probe", image="none") for _ in range(100)]
    assert {warden.answer(number)[1].code for number in numbers} == {errno.ENOENT}


def test_an_image_that_leads_elsewhere_is_refused(warden):
    """Neither the image itself nor a place in it where something is mounted may be a symbolic link."""
    image = warden.images / "probe"
    (image / ("a" * 16)).mkdir()
    (image / ("a" * 16) / "rootfs").symlink_to("/")
    code, said = warden.refused("/bin/probe", image_digest="a" * 16)
    assert code == errno.ELOOP, said
    subprocess.run(["cp", "-a", image / IMAGE_DIGEST, image / ("b" * 16)], check=True)
    (image / ("b" * 16) / "rootfs/tmp").rmdir()
    (image / ("b" * 16) / "rootfs/tmp").symlink_to("/var")
    code, said = warden.refused("/bin/probe", image_digest="b" * 16)
    assert code == errno.ELOOP and "/tmp" in said, said


def test_code_that_leads_elsewhere_is_refused(warden):
    """The manager owns this directory and may put anything there."""
    code = warden.state / "data/code"
    for digest, part in (("a" * 64, ""), ("b" * 64, "tree")):
        if part:
            (code / digest).mkdir()
        (code / digest / part).symlink_to("/root" if part else CODE_DIGEST)
        told, said = warden.refused("/bin/probe", code_digest=digest)
        assert told == errno.ELOOP, said


def test_too_little_memory_to_start(warden):
    """Whatever the kernel does about it, it ends in an ordinary failure or an ordinary end."""
    number = warden.ask("/bin/probe", "exit", "0", memory_bytes=4 * MB, env=["X=" + "y" * 10000])
    kind, answer, fds = warden.answer(number)
    warden.forget(fds)
    if kind == FAILED:
        assert answer.code == errno.ENOMEM, answer.text
    else:
        assert warden.answer(number)[1].cause in (STATUS, SIGNAL)


def test_kill(warden):
    sandbox = warden.create("sleep")
    sandbox.kill()
    assert sandbox.exited().cause == KILLED


def test_kill_takes_all_processes(warden):
    sandbox = warden.create("fork-and-stay", "50")
    assert sandbox.line() == "50 OK\n"
    assert len(warden.of_uid(warden.uid(0))) == 51
    sandbox.end()
    assert not warden.of_uid(warden.uid(0))


def test_kill_of_a_frozen_one(warden):
    sandbox = warden.create("sleep")
    sandbox.freeze()
    sandbox.end()


def test_kill_of_one_that_is_frozen_again_and_again(warden):
    """A hostile manager holds the freezer: it can delay a kill, not prevent it."""
    sandbox = warden.create("fork-and-stay", "20")
    sandbox.line()
    sandbox.kill()
    while not warden.has_answer(0.001):
        try:
            sandbox.freeze()
        except OSError as e:
            assert e.errno == errno.ENODEV  # the control group is gone
    assert sandbox.exited().cause == KILLED


def test_kill_right_after_create(warden):
    for _ in range(10):
        number = warden.ask("/bin/probe", "sleep")
        warden.send(kill_message(number))
        kind, answer, fds = warden.answer(number)
        warden.forget(fds)
        if kind == FAILED:
            assert answer.code == errno.ECANCELED
        else:
            assert kind == CREATED and warden.answer(number)[1].cause == KILLED


def test_requests_for_one_that_is_gone_are_ignored(warden):
    sandbox = warden.create("exit", "0")
    sandbox.exited()
    sandbox.kill()
    sandbox.lease(1)
    sandbox.cpu(1)
    assert warden.run("exit", "3")[1].value == 3


def test_freeze_stops_it(warden):
    sandbox = warden.create("tick")
    assert sandbox.writes(30)
    sandbox.freeze()
    wait_until(lambda: not sandbox.writes(0.1), 30, "the ticks to stop")
    assert not sandbox.writes(0.3)
    sandbox.freeze(False)
    assert sandbox.writes(30)
    sandbox.end()


def test_lease_runs_out(warden):
    start = time.monotonic()
    sandbox = warden.create("sleep", lease_ms=200)
    assert sandbox.exited().cause == EXPIRED
    assert 0.2 <= time.monotonic() - start < 20


def test_lease_kills_a_frozen_one(warden):
    sandbox = warden.create("sleep", lease_ms=200)
    sandbox.freeze()
    assert sandbox.exited().cause == EXPIRED


def test_lease_can_be_moved_and_lifted(warden):
    sandbox = warden.create("sleep")
    sandbox.lease(500)
    sandbox.lease(0)
    assert not warden.has_answer(0.8)
    start = time.monotonic()
    sandbox.lease(500)
    sandbox.lease(1000)
    assert sandbox.exited().cause == EXPIRED
    assert 1 <= time.monotonic() - start < 20


def test_what_the_runtime_leaves_behind_is_killed(warden):
    _, end = warden.run("daemonize")
    assert (end.cause, end.value) == (STATUS, 5)
    assert not warden.of_uid(warden.uid(0))


def test_channel(warden):
    sandbox = warden.create("channel", flags=WITH_CHANNEL)
    with socket.socket(fileno=os.dup(sandbox.channel[0])) as channel:
        channel.settimeout(30)
        channel.sendall(b"there and back")
        assert channel.recv(100) == b"there and back"
        channel.shutdown(socket.SHUT_RDWR)
    assert sandbox.exited().value == 0


@pytest.mark.parametrize("port, which", [("9001", "api"), ("9002", "aws")])
def test_listening_sockets(warden, port, which):
    sandbox = warden.create("api", port)
    with socket.socket(fileno=os.dup(getattr(sandbox, which))) as listener:
        listener.settimeout(30)
        connection, peer = listener.accept()
        with connection:
            assert peer[0] == "127.0.0.1"
            assert connection.recv(5) == b"hello"
            connection.sendall(b"good day")
    assert sandbox.text() == "good day"
    assert sandbox.exited().value == 0


def test_many_at_once(warden):
    numbers = [warden.ask("/bin/probe", "sleep", uid_index=n) for n in range(50)]
    sandboxes = [warden.created(number) for number in numbers]
    for sandbox in sandboxes:
        sandbox.kill()
    assert {sandbox.exited().cause for sandbox in sandboxes} == {KILLED}


def test_too_many_sandboxes():
    with Warden("--max-sandboxes", "2") as warden:
        warden.start()
        first, second = warden.create("sleep"), warden.create("sleep")
        assert warden.refused("/bin/probe", "sleep") == (errno.EAGAIN, "there are already 2 sandboxes")
        first.end()
        warden.create("exit", "0").exited()
        second.end()


def test_many_cycles_leak_nothing(warden):
    """In the warden: no descriptor, no mount; on the machine: no process, no control group, no network link."""
    warden.run("exit", "0")
    before = warden.idle_belongings()
    for n in range(200):
        warden.create("sleep", uid_index=n % 7, flags=WITH_CHANNEL).end()
    warden.refused("/bin/none")
    warden.refused("/bin/probe", image="none")
    assert warden.idle_belongings() == before


# --- the warden's own start and end


def test_manager_is_started_as_agreed(shared_warden):
    warden, pid = shared_warden, shared_warden.info["pid"]
    assert warden.info["fds"] == [0, 1, 2, 3, 4]
    argv = warden.info["argv"]
    assert dict(zip(argv[1::2], argv[2::2])).items() >= {
        "--images": str(warden.images.resolve()), "--runtimes": str((warden.libexec / "runtimes").resolve()),
        "--listen-name": "127.0.0.1:0"}.items()
    status = Path(f"/proc/{pid}/status").read_text()
    assert re.search(rf"^Uid:(\t{warden.uid_base}){{4}}$", status, re.M) and re.search(r"^Groups:\t *$", status, re.M)
    assert set(re.findall(r"^Cap\w+:\t(\w+)$", status, re.M)) == {"0" * 16} and "NoNewPrivs:\t1" in status
    assert os.readlink(f"/proc/{pid}/cwd") == str((warden.state / "data").resolve())
    assert warden.api.getsockname()[0] == "127.0.0.1"


def test_warden_keeps_few_capabilities(shared_warden):
    status = Path(f"/proc/{shared_warden.process.pid}/status").read_text()
    kept = sum(1 << c for c in (0, 1, 3, 5, 6, 7, 8, 12, 18, 19, 21, 40))  # those of kept[] in sandbox/warden.c
    found = dict(re.findall(r"^Cap(\w+):\t(\w+)$", status, re.M))
    for which in ("Prm", "Eff", "Bnd"):
        assert int(found[which], 16) & ~kept == 0, found


def test_stop_is_clean():
    with Warden() as warden:
        warden.start()
        for n in range(5):
            warden.create("sleep", uid_index=n)
        warden.create("sleep").freeze()
        assert warden.stop(signal.SIGINT) == 0
        assert not warden.leftovers()


def test_hangup_is_ignored(warden):
    warden.process.send_signal(signal.SIGHUP)
    assert warden.run("exit", "0")[1].value == 0


def test_two_wardens_on_one_state(warden):
    status, said = warden.try_start()
    assert status == 1 and said == f"fnrun-warden: state directory: {warden.state} is in use by another fnrun-warden\n"
    assert warden.run("exit", "0")[1].value == 0


@pytest.mark.parametrize("options, status, text", [
    (["--nonsense"], 2, 'unknown option "--nonsense"'), (["--uid-base", "x"], 2, '--uid-base: "x" is not a number'),
    (["--uid-base", "0x"], 2, '--uid-base: "0x" is not a number'), (["--uid-base", "1"], 1, "uid base 1 is outside"),
    (["--uid-base", "4294967295"], 1, "is outside"), (["--listen", "nowhere"], 1, "--listen nowhere: not ADDR:PORT"),
    (["--listen", "1.2.3.4.5:1"], 1, "--listen 1.2.3.4.5:1: "),
    (["--images", "/nonexistent"], 1, "--images /nonexistent: No"),
    (["--libexec", "/nonexistent"], 1, "--libexec /nonexistent: No"),
    (["--user", "no-such-user"], 1, "no user"), (["--user", "root"], 1, "must not run as root"),
    (["--state"], 2, "--state needs a value"),
    (["--verbose=1"], 2, "--verbose takes no value"), (["--state", "/dev/null"], 1, "state directory: "),
    (["--state", "/nonexistent/state"], 1, "mkdir /nonexistent/state: No such file"),
])
def test_wrong_options(options, status, text):
    with Warden() as warden:
        told, said = warden.try_start(*options)
        assert told == status and text in said, said
