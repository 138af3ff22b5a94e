"""The runtime's end of the channel: frames over a stream socket, as sandbox/base/channel.h has them."""

import os
from _struct import Struct

from _fnrun import codec

READY, RESPONSE, ERROR, INIT_ERROR = 1, 2, 3, 4
INVOKE, SNAPSHOT, RESTORE = 16, 17, 18

_HEADER = Struct("<III")
_READ_BYTES = 65536
_fd = -1


def open_channel(fd):
    global _fd
    # Programs that the function starts must not hold the channel open, or write to it.
    os.set_inheritable(fd, False)
    _fd = fd


def receive():
    """The next frame: its kind, its head as a dict, its body as bytes."""
    data = _read(_READ_BYTES)
    while len(data) < _HEADER.size:
        data += _read(_READ_BYTES)
    _, head_bytes, body_bytes = _HEADER.unpack_from(data)
    missing = _HEADER.size + head_bytes + body_bytes - len(data)
    if missing:
        data = _complete(data, missing)
    return unpack(data)


def unpack(data):
    kind, head_bytes, _ = _HEADER.unpack_from(data)
    body_start = _HEADER.size + head_bytes
    return kind, codec.parse(data[_HEADER.size : body_start]), data[body_start:]


def pack(kind, head, body):
    return b"".join((_HEADER.pack(kind, len(head), len(body)), head, body))


def send(kind, head, body=b""):
    """Sends one frame; `head` and `body` are bytes."""
    frame = pack(kind, head, body)
    try:
        sent = os.write(_fd, frame)
        if sent < len(frame):
            _send_rest(memoryview(frame)[sent:])
    except ConnectionError:
        os._exit(0)


def _send_rest(rest):
    while rest:
        rest = rest[os.write(_fd, rest) :]


def _complete(data, missing):
    chunks = [data]
    while missing:
        chunks.append(_read(min(missing, 1 << 20)))
        missing -= len(chunks[-1])
    return b"".join(chunks)


def _read(limit):
    try:
        data = os.read(_fd, limit)
    except ConnectionError:
        data = b""
    if not data:
        # The manager has gone or has no more work. The sandbox goes with us: none of the function's exit
        # handlers or threads may delay that.
        os._exit(0)
    return data
