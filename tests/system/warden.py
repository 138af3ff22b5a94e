"""A private fnrun-warden whose manager is the test itself: the messages of sandbox/base/proto.h, spoken from Python."""

import ctypes
import itertools
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
from ctypes import c_char, c_int32, c_int64, c_uint32, c_uint64
from pathlib import Path

from instance import BUILD, ROOT, links, processes, wait_until

VERSION = 2
CREATE, KILL, LEASE, CPU, RESTORE, DUMP, DROP, CREATED, FAILED, EXITED, ARMED, DUMPED = range(1, 13)
STATUS, SIGNAL, KILLED, EXPIRED = range(1, 5)
WITH_CHANNEL = 1
IMAGE, IMAGE_DIGEST, CODE_DIGEST, RUNTIME = "probe", "0123456789abcdef", "c0de" * 16, "plain"
ANSWER_SECONDS = 30
MB = 1 << 20
UID_BLOCK = 65536
SPARE_NAMESPACES = 4  # SPARES_MAX of sandbox/spare.h

# Each warden has a block of uids of its own, also beside another run of the tests: what it leaves is known by them.
uid_blocks = itertools.count(os.getpid() % 100 * 100)


class Header(ctypes.Structure):
    _fields_ = [("version", c_uint32), ("kind", c_uint32), ("sandbox", c_uint64)]


class Create(ctypes.Structure):
    _fields_ = [("header", Header), ("flags", c_uint32), ("uid_index", c_uint32), ("image", c_char * 64),
                ("image_digest", c_char * 17), ("code_digest", c_char * 65), ("runtime_dir", c_char * 64),
                ("memory_bytes", c_uint64), ("tmp_bytes", c_uint64), ("cpu_millis", c_uint32), ("lease_ms", c_uint32),
                ("argc", c_uint32), ("envc", c_uint32), ("snapshot", c_char * 33), ("strings_bytes", c_uint32)]


class Created(ctypes.Structure):
    _fields_ = [("header", Header), ("create_ns", c_int64), ("thaw", c_char * 8), ("freeze", c_char * 8)]


class Failed(ctypes.Structure):
    _fields_ = [("header", Header), ("code", c_int32), ("text", c_char * 400)]


class Exited(ctypes.Structure):
    _fields_ = [("header", Header), ("cause", c_uint32), ("value", c_int32), ("oom_kills", c_uint32),
                ("memory_peak", c_uint64), ("cpu_ns", c_uint64)]


ANSWERS = {CREATED: Created, FAILED: Failed, EXITED: Exited}


def is_readable(fd, seconds):
    poll = select.poll()  # select() knows no descriptor above 1023
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def kill_message(sandbox):
    return struct.pack("=IIQ", VERSION, KILL, sandbox)


def dump_message(kind, sandbox, snapshot):
    """DUMP or DROP."""
    return struct.pack("=IIQ33s7x", VERSION, kind, sandbox, snapshot)


def number_message(kind, sandbox, number):
    """LEASE, CPU and RESTORE look alike: one number, then padding."""
    return struct.pack("=IIQII", VERSION, kind, sandbox, number, 0)


def create_message(sandbox, argv, env=(), **fields):
    strings = b"".join(s.encode() + b"\0" for s in [*argv, *env])
    known = {"flags": 0, "uid_index": 0, "image": IMAGE, "image_digest": IMAGE_DIGEST, "code_digest": CODE_DIGEST,
             "runtime_dir": RUNTIME, "memory_bytes": 128 * MB, "tmp_bytes": 64 * MB, "cpu_millis": 1000,
             "lease_ms": 60_000, "argc": len(argv), "envc": len(env), "snapshot": "", "strings_bytes": len(strings)} | fields
    known = {k: v.encode() if isinstance(v, str) else v for k, v in known.items()}
    return bytes(Create(header=Header(VERSION, CREATE, sandbox), **known)) + strings


class Sandbox:
    """One that is CREATED: its descriptors and its later answers."""

    def __init__(self, warden, number, created, fds):
        self.warden, self.number, self.created, self.fds = warden, number, created, fds
        self.log, self.peak, self.freezer, self.api, self.aws, *self.channel = fds

    def text(self):
        """All that it writes until its end, or until nobody holds the pipe any more."""
        with open(self.log, "rb", closefd=False) as log:
            return log.read().decode(errors="replace")

    def line(self):
        """The next line, of one that goes on."""
        line = b""
        while not line.endswith(b"\n"):
            assert is_readable(self.log, ANSWER_SECONDS), f"no line, only {line}"
            byte = os.read(self.log, 1)
            assert byte, f"it ended after {line}"
            line += byte
        return line.decode()

    def writes(self, seconds):
        """Did it write something within this time? Takes one piece of it."""
        return is_readable(self.log, seconds) and bool(os.read(self.log, 65536))

    def report(self):
        return json.loads(self.text())

    def freeze(self, on=True):
        os.pwrite(self.freezer, self.created.freeze if on else self.created.thaw, 0)

    def memory_peak(self):
        return int(os.pread(self.peak, 100, 0))

    def kill(self):
        self.warden.send(kill_message(self.number))

    def lease(self, ms):
        self.warden.send(number_message(LEASE, self.number, ms))

    def cpu(self, millis):
        self.warden.send(number_message(CPU, self.number, millis))

    def exited(self):
        kind, answer, _ = self.warden.answer(self.number)
        assert kind == EXITED, (kind, answer)
        self.warden.forget(self.fds)
        return answer

    def end(self):
        self.kill()
        assert self.exited().cause == KILLED


class Warden:
    def __init__(self, *options):
        self.top = Path(tempfile.mkdtemp(prefix="fnrun-warden-test-"))
        self.top.chmod(0o755)
        self.state, self.images, self.libexec = self.top / "state", self.top / "images", self.top / "libexec"
        self.uid_base = 1_000_000_000 + next(uid_blocks) * UID_BLOCK
        self.options = options
        self.links_before = links()
        self.next = 0
        self.process = self.manager = None
        self.waiting, self.received = {}, set()
        self.make_image()
        self.make_libexec()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.top / "driver"))
        (self.top / "driver").chmod(0o777)
        self.listener.listen()
        self.listener.settimeout(ANSWER_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def make_image(self):
        """Nothing but the probe and the places where something is mounted."""
        root = self.images / IMAGE / IMAGE_DIGEST / "rootfs"
        for name in ["bin", "dev", "etc", "opt", "proc", "tmp", "var/task", "var/runtime"]:
            (root / name).mkdir(parents=True)
        (root / "etc/passwd").touch()
        shutil.copy(self.probe(), root / "bin/probe")
        (root / "bin/not-a-program").write_text("neither ELF nor script\n")
        (root / "bin/not-a-program").chmod(0o755)

    @staticmethod
    def probe():
        if not (BUILD / "tests/probe").exists():
            subprocess.run(["make", "-s", "-C", ROOT, "build/tests/probe"], check=True)
        return BUILD / "tests/probe" if (BUILD / "tests/probe").exists() else ROOT / "build/tests/probe"

    def make_libexec(self):
        (self.libexec / "runtimes" / RUNTIME).mkdir(parents=True)
        for name in ("fnrun-init", "fnrun-thaw"):
            (self.libexec / name).symlink_to(BUILD / name)
        shutil.copy(Path(__file__).parent / "programs/stand_in_fnrund", self.libexec / "fnrund")

    def command(self, *options):
        return [BUILD / "fnrun-warden", "--state", self.state, "--images", self.images, "--libexec", self.libexec,
                "--listen", "127.0.0.1:0", "--uid-base", str(self.uid_base),
                f"--manager-arg=--driver={self.top}/driver", *self.options, *options]

    def launch(self):
        """Starts it and doesn't wait for anything."""
        with open(self.top / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start(self):
        self.launch()
        self.meet_manager()
        return self

    def try_start(self, *options):
        """For a start that must fail: (exit status, the one line it says)."""
        run = subprocess.run(self.command(*options), capture_output=True, text=True, timeout=ANSWER_SECONDS)
        assert run.stdout == "" and run.stderr.count("\n") == 1, (run.stdout, run.stderr)
        return run.returncode, run.stderr

    def meet_manager(self):
        """Takes over from the next stand-in that the warden starts."""
        self.leave_manager()
        while not self.accept_manager():
            pass
        self.manager.settimeout(ANSWER_SECONDS)
        self.waiting = {}
        self.make_code()

    def accept_manager(self):
        """False for one that is dead: perhaps of an earlier warden, perhaps before it could say anything."""
        self.held, _ = self.listener.accept()
        about, fds, _, _ = socket.recv_fds(self.held, 65536, 2)
        if len(fds) == 2:
            self.info = json.loads(about)
            self.manager, self.api = (socket.socket(fileno=fd) for fd in fds)
            if processes().get(self.info["pid"], [None])[0] == self.process.pid:
                return True
            self.leave_manager()
        self.held.close()
        return False

    def leave_manager(self):
        if self.manager:
            self.manager.close()
            self.api.close()
            self.held.close()
            self.manager = None
            self.forget(set(self.received))

    def forget(self, fds):
        """Closes what came with an answer."""
        for fd in fds:
            os.close(fd)
        self.received -= set(fds)

    def replace_manager(self):
        """A new one, and no sandbox of the old one's."""
        os.kill(self.info["pid"], signal.SIGKILL)
        self.meet_manager()

    def make_code(self):
        tree = self.state / "data/code" / CODE_DIGEST / "tree"
        tree.mkdir(parents=True, exist_ok=True)
        for path in [tree, *tree.parents][:3]:
            path.chmod(0o755)
        (tree / "own.txt").write_text("code")

    def send(self, message):
        self.manager.send(message)

    def receive(self):
        data, fds, _, _ = socket.recv_fds(self.manager, 65536, 8)
        self.received |= set(fds)
        assert data, f"the warden has closed the socket\n{self.log()[-2000:]}"
        kind, number = struct.unpack_from("=IQ", data, 4)
        return number, (kind, ANSWERS[kind].from_buffer_copy(data), fds)

    def answer(self, number):
        """The next answer about that sandbox: (kind, struct, descriptors)."""
        while not self.waiting.get(number):
            about, answer = self.receive()
            self.waiting.setdefault(about, []).append(answer)
        return self.waiting[number].pop(0)

    def has_answer(self, seconds):
        """Does the warden say anything within this time?"""
        return any(self.waiting.values()) or is_readable(self.manager, seconds)

    def ask(self, *argv, env=(), **fields):
        self.next += 1
        self.send(create_message(self.next, [*argv], env, **fields))
        return self.next

    def created(self, number):
        kind, answer, fds = self.answer(number)
        assert kind == CREATED, answer.text
        return Sandbox(self, number, answer, fds)

    def create(self, *argv, **fields):
        """Makes one that must come to be. `argv` are arguments of the probe."""
        return self.created(self.ask("/bin/probe", *argv, **fields))

    def refused(self, *argv, **fields):
        """Asks for one that can't be made; returns (errno, text)."""
        kind, answer, _ = self.answer(self.ask(*argv, **fields))
        assert kind == FAILED, kind
        return answer.code, answer.text.decode()

    def run(self, *argv, **fields):
        """(what it wrote, its EXITED), of one that ends by itself."""
        sandbox = self.create(*argv, **fields)
        return sandbox.text(), sandbox.exited()

    def log(self):
        return (self.top / "log").read_text(errors="replace")

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(ANSWER_SECONDS)

    def uid(self, index):
        return self.uid_base + 2 + index

    def of_uid(self, uid):
        """pid -> name, of all that run with it."""
        return {pid: p[2] for pid, p in processes().items() if p[1] == uid}

    def members(self):
        """Processes that are this warden's or in its sandboxes."""
        return [f"{pid}: {p}" for pid, p in processes().items()
                if str(self.top) in p[3] or 0 <= p[1] - self.uid_base < UID_BLOCK]

    def groups(self):
        """Its control groups, in every hierarchy: the instance's, and one each for its sandboxes."""
        return [path for path, _, _ in os.walk("/sys/fs/cgroup") if self.group_name() in path]

    def sandbox_groups(self):
        return [path for path in self.groups() if re.search(rf"/{self.group_name()}/\d+$", path)]

    def group_name(self):
        value = 0xCBF29CE484222325
        for byte in os.fsencode(self.state.resolve()):
            value = (value ^ byte) * 0x100000001B3 % 2**64
        return f"fnrun-{value:016x}"

    def belongings(self):
        """What the warden itself holds when it is idle, by kind: descriptors, mounts; and its processes."""
        pid, kinds = self.process.pid, {}
        for fd in os.listdir(f"/proc/{pid}/fd"):
            kind = re.sub(r"\d+", "N", os.readlink(f"/proc/{pid}/fd/{fd}"))
            kinds[kind] = kinds.get(kind, 0) + 1
        mounts = Path(f"/proc/{pid}/mountinfo").read_text().count("\n")
        return kinds | {"mounts": mounts, "processes": len(self.members()), "groups": len(self.groups()),
                        "links": sorted(links())}

    def idle_belongings(self):
        """The same, once the namespaces that it makes ahead are all there."""
        wait_until(lambda: self.belongings().get("net:[N]") == SPARE_NAMESPACES, what="namespaces to be made ahead")
        wait_until(lambda: len(self.members()) == 2, what="the helper that made them to end")
        return self.belongings()

    def wait_empty(self):
        wait_until(lambda: not self.sandbox_groups(), what="all sandboxes to go")

    def settle(self):
        """After a test: nothing of it may be left. Whatever there is does not spoil the next test."""
        try:
            self.wait_empty()
            assert not self.has_answer(0), "answers that the test didn't ask for"
        except AssertionError:
            self.replace_manager()
            raise

    def leftovers(self):
        mounts = [m for m in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.top) in m]
        return self.members() + mounts + self.groups() + sorted(links() - self.links_before)

    def close(self):
        try:
            if self.process:
                self.stop()
            self.leave_manager()
            wait_until(lambda: not self.leftovers(), what="nothing to be left")
        except AssertionError as e:
            raise AssertionError(f"left behind: {self.leftovers()}\n{self.log()[-2000:]}") from e
        finally:
            if self.process and self.process.poll() is None:
                self.process.kill()
            self.listener.close()
            shutil.rmtree(self.top)
