"""Templates: instances that are forked from a process which has the snapshot's memory (sandbox/thaw.h)."""

import os
import re
import signal
from pathlib import Path

import pytest

from conftest import invoke_function
from instance import wait_until
from snapshots import Snapshots

# All that a template restores itself: files with a position, pipes with bytes in them, event descriptors, epoll, threads that
# wait, signal handlers, an alternate stack.
STATE = """
import ctypes, faulthandler, mmap, os, select, signal, threading
libc = ctypes.CDLL(None)
faulthandler.enable()
readable = open("/var/task/app.py", "rb", buffering=0)
readable.seek(7)
r, w = os.pipe()
os.write(w, b"left")
lone, closed = os.pipe()
os.close(closed)
os.set_blocking(r, False)
event = os.eventfd(41)
epoll = select.epoll()
epoll.register(event, select.EPOLLIN)
epoll.register(r, select.EPOLLIN)
copy = os.dup(readable.fileno())
got = []
signal.signal(signal.SIGUSR1, lambda *_: got.append("usr1"))
wake, ready = threading.Event(), threading.Barrier(4)
def work(n):
    ready.wait()
    wake.wait()
    got.append(threading.get_native_id())
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for t in threads: t.start()
ready.wait()
ids = [t.native_id for t in threads]
big = mmap.mmap(-1, 8 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
big.write(b"x" * (8 << 20))
heap = list(range(200000))
def handler(event_, context):
    os.kill(os.getpid(), signal.SIGUSR1)
    wake.set()
    for t in threads: t.join()
    events = sorted(fd for fd, _ in epoll.poll(0))
    big[0:1] = b"y"
    big.madvise(mmap.MADV_DONTNEED, 4096, 4096)
    return {"position": readable.tell(), "same": os.lseek(copy, 0, 1), "pipe": os.read(r, 10).decode(), "end": os.read(lone, 1).decode(),
            "event": os.eventfd_read(event), "events": events == sorted([event, r]),
            "threads": sorted(g for g in got if g != "usr1") == sorted(ids), "usr1": "usr1" in got,
            "heap": sum(heap), "big": [big[0:1].decode(), big[4096:4097].hex(), big[8192:8193].decode()],
            "fault": faulthandler.is_enabled()}
"""

STATUS = """
import os
def handler(event, context):
    threads = {}
    for tid in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{tid}/status") as f:
            threads[tid] = dict(line[:-1].split(":\\t", 1) for line in f if ":\\t" in line)
    maps = open("/proc/self/maps").read()
    return {"threads": threads, "exe": os.readlink("/proc/self/exe"), "maps": maps, "cwd": os.getcwd(), "sid": os.getsid(0),
            "fds": {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")},
            "limits": open("/proc/self/limits").read(), "cmdline": open("/proc/self/cmdline").read().split("\\0")[0],
            "parent": os.getppid(), "owner": os.stat("/proc/self/status").st_uid, "uid": os.getuid()}
"""

THREADED = "import threading, time\nthreading.Thread(target=lambda: time.sleep(1e6), daemon=True).start()\n" + STATUS


def path_of(snapshots, name):
    """How the function's snapshot is restored: "template", or the reason why by criu."""
    why = snapshots.folder(name) / "why-criu"
    return why.read_text() if why.exists() else "template" if (snapshots.folder(name) / "template").exists() else None


@pytest.fixture(scope="module")
def snapshots():
    made = Snapshots()
    yield made
    made.instance.close()


def templates(instance):
    """The template processes of the instance."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, name, rest = re.match(r"(\d+) \((.*)\) . (\d+)", path.read_text()).groups()
        except (OSError, AttributeError):
            continue
        if name == "fnrun-thaw" and int(rest) == instance.proc.pid:
            found.append(int(pid))
    return found


def test_everything_of_the_process_is_there_in_each(snapshots):
    snapshots.make("state", {"app.py": STATE}, Timeout=20)
    assert path_of(snapshots, "state") == snapshots.state("state")["restored_by"] == "template"
    for _ in range(3):
        how, answer = snapshots.restore("state")
        assert how == "restored"
        assert answer == {"position": 7, "same": 7, "pipe": "left", "end": "", "event": 41, "events": True, "threads": True,
                          "usr1": True, "heap": sum(range(200000)), "big": ["y", "00", "x"], "fault": True}


@pytest.mark.parametrize("name", ["status", "threaded"])
def test_a_restored_instance_has_no_more_than_a_started_one(snapshots, name):
    code = {"status": STATUS, "threaded": THREADED}[name]
    snapshots.make(name, {"app.py": code})
    assert path_of(snapshots, name) == "template"
    cold_answer = snapshots.start("cold", name)[1]
    answer = snapshots.restore(name)[1]
    assert "threads" in answer, answer
    assert len(answer["threads"]) == len(cold_answer["threads"]) == (2 if name == "threaded" else 1)
    keys = ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
            "SigIgn", "SigCgt", "Name", "Umask"]
    for ours, theirs in zip(answer["threads"].values(), cold_answer["threads"].values()):
        assert {k: ours.get(k) for k in keys} == {k: theirs.get(k) for k in keys}
        assert ours["CapPrm"] == ours["CapBnd"] == "0" * 16 and ours["NoNewPrivs"] == "1" and ours["Seccomp"] == "2"
    for key in ["exe", "cwd", "sid", "limits", "cmdline", "parent"]:
        assert answer[key] == cold_answer[key], key
    assert answer["owner"] == answer["uid"]
    assert set(answer["fds"]) == set(cold_answer["fds"]), (answer["fds"], cold_answer["fds"])
    assert "fnrun-thaw" not in answer["maps"] and "[heap]" in answer["maps"] and "[stack]" in answer["maps"] and "[vdso]" in answer["maps"]


def test_instances_do_not_see_each_others_memory(snapshots):
    snapshots.make("memory", {"app.py": "seen = ['init'] * 5000\ndef handler(e, c):\n    seen[:] = [e['v']] * 5000\n    return seen[4999]\n"
                                        "import sys\n"})
    assert [snapshots.restore("memory", b'{"v": "%d"}' % n) for n in range(4)] == [("restored", str(n)) for n in range(4)]


def test_memory_limit_holds(snapshots):
    snapshots.make("greedy", {"app.py": "def handler(e, c):\n    return len(bytearray(700 << 20).replace(b'\\0', b'a')) if e.get('eat') else 1\n"})
    assert path_of(snapshots, "greedy") == "template"
    how, answer = snapshots.restore("greedy", b'{"eat": 1}')
    assert how == "restored" and answer["errorType"] == "Runtime.ExitError" and "signal: killed" in answer["errorMessage"]
    assert snapshots.restore("greedy")[1] == 1


@pytest.mark.parametrize("name,init,reason", [
    ("child", "import subprocess\np = subprocess.Popen(['sleep', '1000'])", "more than one process"),
    ("timer", "import signal\nsignal.signal(signal.SIGALRM, lambda *_: None)\nsignal.setitimer(signal.ITIMER_REAL, 1000)", "timers"),
    ("listener", "import socket\ns = socket.create_server(('127.0.0.1', 0))", "an open file of criu's type"),
    ("socket", "import socket\ns = socket.socketpair()", "an open file of criu's type"),
    ("deleted", "import tempfile\nf = tempfile.TemporaryFile()\nf.write(b'x')\nf.flush()", "deleted"),
    ("shared", "import mmap\nm = mmap.mmap(-1, 4096)\nm.write(b'x')", "memfd.img"),
])
def test_what_a_template_cannot_do_is_left_to_criu(snapshots, name, init, reason):
    state = snapshots.make(name, {"app.py": init + "\ndef handler(e, c):\n    return 'well'\n"})
    assert state["state"] == "ready", state
    assert reason in path_of(snapshots, name)
    assert state["restored_by"] == "criu" and reason in state["reason"]
    assert snapshots.restore(name) == ("restored", "well")


def test_a_template_that_is_killed_is_started_again(snapshots):
    snapshots.make("killed", {"app.py": "def handler(e, c):\n    return 1\n"})
    assert snapshots.restore("killed") == ("restored", 1)
    for pid in templates(snapshots.instance):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not templates(snapshots.instance), what="the templates to die")
    assert [snapshots.restore("killed") for _ in range(3)] == [("restored", 1)] * 3
    assert snapshots.state("killed")["failures"] == 0


def test_templates_keep_to_their_memory():
    made = Snapshots("--idle-seconds=60", warden_options=("--template-mb=8",))
    try:
        for name in "abcd":  # each has more than three megabytes
            made.make(name, {"app.py": "def handler(e, c):\n    return c.function_name\n"})
        wait_until(lambda: len(templates(made.instance)) in (1, 2), what="one or two templates")
        assert [made.restore(name)[1] for name in "abcd"] == list("abcd")
        assert len(templates(made.instance)) in (1, 2)
    finally:
        made.instance.close()


def test_no_criu_and_no_template_is_left_when_the_function_is_gone(snapshots):
    snapshots.make("gone", {"app.py": "def handler(e, c):\n    return 1\n"})
    assert snapshots.restore("gone") == ("restored", 1)
    before = len(templates(snapshots.instance))
    snapshots.client.delete_function(FunctionName="gone")
    wait_until(lambda: len(templates(snapshots.instance)) == before - 1, what="the template to go")


def test_init_leaves_files_in_tmp_for_each(snapshots):
    snapshots.make("tmp", {"app.py": "f = open('/tmp/made', 'w+')\nf.write('by init')\nf.flush()\ndef handler(e, c):\n"
                                     "    f.seek(0)\n    text = f.read()\n    f.write(' and more')\n    f.flush()\n    return [text, open('/tmp/made').read()]\n"})
    assert path_of(snapshots, "tmp") == "template"
    assert [snapshots.restore("tmp") for _ in range(2)] == [("restored", ["by init", "by init and more"])] * 2


def test_answers_after_an_error_of_the_kind_that_ends_it(snapshots):
    snapshots.make("exits", {"app.py": "import os\ndef handler(e, c):\n    os._exit(3)\n"})
    how, answer = snapshots.restore("exits")
    assert how == "restored" and "exit status 3" in answer["errorMessage"]
    assert invoke_function(snapshots.client, "exits").error == "Unhandled"
