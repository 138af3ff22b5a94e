"""Runs fnrun's language bootstraps in their images, without a sandbox: a chroot and a socketpair as the channel."""

import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time

import pytest

IMAGES = pathlib.Path(os.environ.get("FNRUN_IMAGES", "/var/lib/fnrun/images"))
SOURCES = pathlib.Path(__file__).resolve().parents[2] / "rootfs"

READY, RESPONSE, ERROR, INIT_ERROR, INVOKE = 1, 2, 3, 4, 16
HEADER = struct.Struct("<III")
CHANNEL_FD = 15
ARN = "arn:aws:lambda:us-east-1:000000000000:function:fn"
WAIT_S = 10

LANGUAGES = {
    "python": ("python3.13", ["/usr/bin/python3.13", "-S", "/var/runtime/bootstrap.py"]),
    "node": ("nodejs20.x", ["/usr/bin/node", "/var/runtime/bootstrap.js"]),
}

# $1: image, $2: bootstrap, $3: task folder, $4: mount point; then the program.
ENTER = """
mount --bind -o ro "$1" "$4" && mount --bind -o ro "$2" "$4/var/runtime" && mount --bind -o ro "$3" "$4/var/task" &&
mount -t proc proc "$4/proc" && mount -t tmpfs tmpfs "$4/tmp" && root=$4 && shift 4 &&
exec /usr/sbin/chroot "$root" env -C /var/task "$@"
"""


def image_root(image):
    current = IMAGES / image / "current"
    if os.geteuid() != 0 or not current.exists():
        pytest.skip(f"needs root and the image {image}")
    return IMAGES / image / current.read_text().strip() / "rootfs"


def environment(language, handler, extra):
    image, _ = LANGUAGES[language]
    env = {
        "_FNRUN_CHANNEL_FD": str(CHANNEL_FD),
        "_HANDLER": handler,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{image}",
        "AWS_LAMBDA_FUNCTION_NAME": "fn",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fn",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/02/[$LATEST]0123",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LANG": "en_US.UTF-8",
        "NODE_PATH": "/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task",
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": "/var/runtime",
        "TZ": ":UTC",
    }
    return {**env, **extra}


def as_channel(fd):
    """dup2() alone would leave close-on-exec set where the descriptor happens to have the channel's number already."""
    os.dup2(fd, CHANNEL_FD)
    os.set_inheritable(CHANNEL_FD, True)


class Reply:
    def __init__(self, kind, head, body):
        self.kind, self.head, self.body = kind, json.loads(head), body

    @property
    def value(self):
        return json.loads(self.body)


class Runtime:
    """A started bootstrap and the manager's end of its channel."""

    def __init__(self, folder, language, handler, files, env=None):
        self.task, mount_point = folder / "task", folder / "root"
        mount_point.mkdir()
        write_files(self.task, files)
        self.channel, theirs = socket.socketpair()
        self.channel.settimeout(WAIT_S)
        self.requests = 0
        self.logs_read, logs_write = os.pipe()
        image, program = LANGUAGES[language]
        places = [image_root(image), SOURCES / language, self.task, mount_point]
        self.process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", ENTER, "sh", *map(str, places), *program],
            env=environment(language, handler, env or {}), stdin=subprocess.DEVNULL, stdout=logs_write,
            stderr=logs_write, close_fds=False, preexec_fn=lambda: as_channel(theirs.fileno()),
        )
        theirs.close()
        os.close(logs_write)
        self.first = self.receive()

    def read(self, count):
        data = b""
        while len(data) < count:
            chunk = self.channel.recv(min(count - len(data), 1 << 20))
            if not chunk:
                raise EOFError("the runtime has closed its channel")
            data += chunk
        return data

    def receive(self):
        try:
            kind, head_bytes, body_bytes = HEADER.unpack(self.read(HEADER.size))
            return Reply(kind, self.read(head_bytes), self.read(body_bytes))
        except (EOFError, ConnectionResetError):
            return None

    def frame(self, body, **head):
        self.requests += 1
        self.id = f"8476a536-e9f4-11e8-9739-{self.requests:012d}"
        deadline_ms = int(time.time() * 1000) + 3000
        head = {"id": self.id, "deadline_ms": deadline_ms, "arn": ARN, "trace": f"Root=1-{self.requests}", **head}
        text = json.dumps(head).encode()
        return HEADER.pack(INVOKE, len(text), len(body)) + text + body

    def send(self, body, **head):
        self.channel.sendall(self.frame(body, **head))

    def invoke(self, event=None, **head):
        """The reply to an invocation; None if the runtime ended instead."""
        assert self.first.kind == READY, self.first.body
        self.send(json.dumps(event).encode(), **head)
        reply = self.receive()
        assert reply is None or reply.head["id"] == self.id
        return reply

    def result(self, event=None, **head):
        reply = self.invoke(event, **head)
        assert reply is not None and reply.kind == RESPONSE, reply and reply.body
        return reply.value

    def error(self, event=None, **head):
        reply = self.invoke(event, **head)
        assert reply is not None and reply.kind == ERROR
        assert reply.head["type"] == reply.value["errorType"]
        return reply.value

    def init_error(self):
        assert self.first is not None and self.first.kind == INIT_ERROR
        assert self.first.head == {"type": self.first.value["errorType"]}
        assert self.exit_status() == 1
        return self.first.value

    def logs_now(self):
        """What is in the log pipe at this moment, without waiting."""
        os.set_blocking(self.logs_read, False)
        try:
            return os.read(self.logs_read, 1 << 20).decode()
        except BlockingIOError:
            return ""
        finally:
            os.set_blocking(self.logs_read, True)

    def logs(self):
        """Everything written, to the end of the process."""
        self.exit_status()
        with open(self.logs_read, encoding="utf-8", newline="\n", closefd=False) as pipe:
            return pipe.read()

    def exit_status(self):
        self.channel.shutdown(socket.SHUT_WR)
        return self.process.wait(WAIT_S)

    def close(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.channel.close()
        os.close(self.logs_read)


def write_files(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Starter:
    """Starts runtimes, each in a folder of its own, and ends them."""

    def __init__(self, folder):
        self.folder, self.runtimes = folder, []

    def __call__(self, language, handler, files, env=None):
        folder = self.folder / str(len(self.runtimes))
        folder.mkdir()
        self.runtimes.append(Runtime(folder, language, handler, files, env))
        return self.runtimes[-1]

    def close(self):
        for runtime in self.runtimes:
            runtime.close()


@pytest.fixture
def start(tmp_path):
    starter = Starter(tmp_path)
    yield starter
    starter.close()
