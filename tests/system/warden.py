"""A private fnrun-warden, whose manager is the test itself: the messages of sandbox/base/proto.h, spoken from Python."""

import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from ctypes import c_char, c_int32, c_int64, c_uint32, c_uint64
from pathlib import Path

from instance import BUILD, ROOT, links, processes, wait_until

CREATE, KILL, LEASE, CPU, CREATED, FAILED, EXITED = range(1, 8)
STATUS, SIGNAL, KILLED, EXPIRED = range(1, 5)
WITH_CHANNEL = 1
IMAGE, IMAGE_DIGEST, CODE_DIGEST, RUNTIME = "probe", "0123456789abcdef", "c0de" * 16, "plain"
UID_BASE = 1_700_000_000
ANSWER_SECONDS = 20


class Header(ctypes.Structure):
    _fields_ = [("version", c_uint32), ("kind", c_uint32), ("sandbox", c_uint64)]


class Create(ctypes.Structure):
    _fields_ = [("header", Header), ("flags", c_uint32), ("uid_index", c_uint32), ("image", c_char * 64),
                ("image_digest", c_char * 17), ("code_digest", c_char * 65), ("runtime_dir", c_char * 64),
                ("memory_bytes", c_uint64), ("tmp_bytes", c_uint64), ("cpu_millis", c_uint32), ("lease_ms", c_uint32),
                ("argc", c_uint32), ("envc", c_uint32), ("strings_bytes", c_uint32)]


class Created(ctypes.Structure):
    _fields_ = [("header", Header), ("create_ns", c_int64), ("thaw", c_char * 8), ("freeze", c_char * 8)]


class Failed(ctypes.Structure):
    _fields_ = [("header", Header), ("code", c_int32), ("text", c_char * 400)]


class Exited(ctypes.Structure):
    _fields_ = [("header", Header), ("cause", c_uint32), ("value", c_int32), ("oom_kills", c_uint32),
                ("memory_peak", c_uint64), ("cpu_ns", c_uint64)]


ANSWERS = {CREATED: Created, FAILED: Failed, EXITED: Exited}


def create_message(sandbox, argv, env=(), **fields):
    strings = b"".join(s.encode() + b"\0" for s in [*argv, *env])
    known = {"flags": 0, "uid_index": 0, "image": IMAGE, "image_digest": IMAGE_DIGEST, "code_digest": CODE_DIGEST,
             "runtime_dir": RUNTIME, "memory_bytes": 128 << 20, "tmp_bytes": 64 << 20, "cpu_millis": 1000,
             "lease_ms": 60_000, "argc": len(argv), "envc": len(env), "strings_bytes": len(strings)} | fields
    known = {k: v.encode() if isinstance(v, str) else v for k, v in known.items()}
    return bytes(Create(header=Header(1, CREATE, sandbox), **known)) + strings


class Sandbox:
    """One that is CREATED: its descriptors and its later answers."""

    def __init__(self, warden, number, created, fds):
        self.warden, self.number, self.created = warden, number, created
        self.log, self.peak, self.freezer, self.api, self.aws, *self.channel = fds

    def text(self):
        """All that it writes until its end, or until nobody holds the pipe any more."""
        with open(self.log, "rb", closefd=False) as log:
            return log.read().decode(errors="replace")

    def report(self):
        return json.loads(self.text())

    def freeze(self, on=True):
        os.pwrite(self.freezer, self.created.freeze if on else self.created.thaw, 0)

    def memory_peak(self):
        return int(os.pread(self.peak, 100, 0))

    def kill(self):
        self.warden.send(struct.pack("=IIQ", 1, KILL, self.number))

    def lease(self, ms):
        self.warden.send(bytes(struct.pack("=IIQII", 1, LEASE, self.number, ms, 0)))

    def cpu(self, millis):
        self.warden.send(bytes(struct.pack("=IIQII", 1, CPU, self.number, millis, 0)))

    def exited(self):
        kind, answer, _ = self.warden.answer(self.number)
        assert kind == EXITED, (kind, answer)
        self.close()
        return answer

    def close(self):
        for fd in [self.log, self.peak, self.freezer, self.api, self.aws, *self.channel]:
            os.close(fd)


class Warden:
    def __init__(self, *options):
        self.top = Path(tempfile.mkdtemp(prefix="fnrun-warden-test-"))
        self.top.chmod(0o755)
        self.state, self.images, self.libexec = self.top / "state", self.top / "images", self.top / "libexec"
        self.options = options
        self.links_before = links()
        self.next = 0
        self.manager = None
        self.waiting = {}
        self.make_image()
        self.make_libexec()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.top / "driver"))
        (self.top / "driver").chmod(0o777)
        self.listener.listen()
        self.listener.settimeout(ANSWER_SECONDS)

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
        (self.libexec / "fnrun-init").symlink_to(BUILD / "fnrun-init")
        shutil.copy(Path(__file__).parent / "programs/stand_in_fnrund", self.libexec / "fnrund")

    def command(self, *options):
        return [BUILD / "fnrun-warden", "--state", self.state, "--images", self.images, "--libexec", self.libexec,
                "--listen", "127.0.0.1:0", "--uid-base", str(UID_BASE), f"--manager-arg=--driver={self.top}/driver",
                *self.options, *options]

    def start(self):
        with open(self.top / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.meet_manager()
        return self

    def meet_manager(self):
        """Takes over from the next stand-in that the warden starts."""
        self.leave_manager()
        self.held, _ = self.listener.accept()
        info, fds, _, _ = socket.recv_fds(self.held, 65536, 2)
        self.info = eval(info)  # it comes from our own stand-in
        self.manager = socket.socket(fileno=fds[0])
        self.manager.settimeout(ANSWER_SECONDS)
        self.api = socket.socket(fileno=fds[1])
        self.waiting = {}
        self.make_code()

    def leave_manager(self):
        if self.manager:
            self.manager.close()
            self.api.close()
            self.held.close()
            self.manager = None

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
        assert data, f"the warden has closed the socket\n{self.log()[-2000:]}"
        kind, number = struct.unpack_from("=IQ", data, 4)
        return number, (kind, ANSWERS[kind].from_buffer_copy(data), fds)

    def answer(self, number):
        """The next answer about that sandbox: (kind, struct, descriptors)."""
        while not self.waiting.get(number):
            about, answer = self.receive()
            self.waiting.setdefault(about, []).append(answer)
        return self.waiting[number].pop(0)

    def ask(self, *argv, env=(), **fields):
        self.next += 1
        self.send(create_message(self.next, [*argv], env, **fields))
        return self.next

    def create(self, *argv, **fields):
        """Makes one that must come to be. `argv` are arguments of the probe."""
        number = self.ask("/bin/probe", *argv, **fields)
        kind, answer, fds = self.answer(number)
        assert kind == CREATED, answer.text
        return Sandbox(self, number, answer, fds)

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
        return self.process.wait(30)

    def members(self):
        """Processes that are this warden's or in its sandboxes."""
        return [f"{pid}: {p}" for pid, p in processes().items()
                if str(self.top) in p[3] or 0 <= p[1] - UID_BASE < 65536]

    def groups(self):
        name = self.group_name()
        return [str(p) for p in Path("/sys/fs/cgroup").glob(f"**/{name}*") if p.is_dir()]

    def group_name(self):
        value = 0xCBF29CE484222325
        for byte in os.fsencode(self.state.resolve()):
            value = (value ^ byte) * 0x100000001B3 % 2**64
        return f"fnrun-{value:016x}"

    def leftovers(self):
        mounts = [m for m in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.top) in m]
        return self.members() + mounts + self.groups() + sorted(links() - self.links_before)

    def close(self):
        if self.process.poll() is None:
            self.stop()
        self.leave_manager()
        try:
            wait_until(lambda: not self.leftovers(), 5, "nothing to be left")
        except AssertionError:
            raise AssertionError(f"left behind: {self.leftovers()}\n{self.log()[-2000:]}")
        finally:
            self.listener.close()
            shutil.rmtree(self.top)


def median_ms(values_ns):
    values = sorted(values_ns)
    return {"p50": values[len(values) // 2] / 1e6, "p99": values[len(values) * 99 // 100] / 1e6, "max": values[-1] / 1e6}


def pause():
    time.sleep(0.005)
