"""The object store, byte by byte: framing, checksums, hostile requests, and what is left when fnrund dies."""

import base64
import hashlib
import http.client
import os
import signal
import socket
import threading
import time
import zlib

import pytest
from instance import wait_until

BUCKET = "wire"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def code(self):
        """The error's code; None where there is none."""
        return self.body.split(b"<Code>")[1].split(b"</Code>")[0].decode() if b"<Code>" in self.body else None


def ask(fnrun, method, path, body=None, headers=(), encode_chunked=False):
    connection = http.client.HTTPConnection("127.0.0.1", fnrun.port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers), encode_chunked=encode_chunked)
        return Answer(connection.getresponse())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def put(fnrun, s3):
    """put(body, headers...) sends the object `k` and gives the answer."""
    s3.create_bucket(Bucket=BUCKET)
    yield lambda body, encode_chunked=False, key="k", **headers: ask(
        fnrun, "PUT", f"/{BUCKET}/{key}", body, {k.replace("_", "-"): v for k, v in headers.items()}, encode_chunked)
    for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=item["Key"])
    s3.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def get(fnrun):
    return lambda key="k", **headers: ask(fnrun, "GET", f"/{BUCKET}/{key}", None, headers)


def b64(data):
    return base64.b64encode(data).decode()


def crc32(data):
    return b64(zlib.crc32(data).to_bytes(4, "big"))


def files_of(instance):
    return [entry.name for entry in (instance.state / "data" / "store").iterdir()]


# --- checksums ----------------------------------------------------------------------------------------------------


CHECK = b"123456789"  # whose sums are published with each algorithm
SUMS = {
    "crc32": bytes.fromhex("cbf43926"),
    "crc32c": bytes.fromhex("e3069283"),
    "crc64nvme": bytes.fromhex("ae8b14860a799888"),
    "sha1": hashlib.sha1(CHECK).digest(),
    "sha256": hashlib.sha256(CHECK).digest(),
    "sha512": hashlib.sha512(CHECK).digest(),
}


@pytest.mark.parametrize("name", SUMS)
def test_checksum(fnrun, put, get, name):
    header = f"x-amz-checksum-{name}"
    answer = put(CHECK, **{header: b64(SUMS[name])})
    assert (answer.status, answer.headers[header]) == (200, b64(SUMS[name]))
    assert get().headers[header] is None
    assert get(**{"x-amz-checksum-mode": "ENABLED"}).headers[header] == b64(SUMS[name])
    assert get(**{"x-amz-checksum-mode": "ENABLED", "Range": "bytes=0-3"}).headers[header] is None
    answer = put(b"else", **{header: b64(SUMS[name])})
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert put(CHECK, **{header: "no base64"}).code == "InvalidRequest"
    assert get().body == CHECK


@pytest.mark.parametrize("headers, code", [
    ({"Content-MD5": b64(hashlib.md5(b"else").digest())}, "BadDigest"),
    ({"Content-MD5": "short"}, "InvalidDigest"),
    ({"x-amz-content-sha256": hashlib.sha256(b"else").hexdigest()}, "XAmzContentSHA256Mismatch"),
    ({"x-amz-content-sha256": "nonsense"}, "InvalidArgument"),
    ({"x-amz-checksum-crc32": crc32(CHECK), "x-amz-checksum-sha1": b64(SUMS["sha1"])}, "InvalidRequest"),
    ({"x-amz-checksum-xxhash64": "AAAAAAAAAAA="}, "NotImplemented"),
    ({"x-amz-sdk-checksum-algorithm": "CRC32"}, "InvalidRequest"),
    ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, "NotImplemented"),
    ({"x-amz-meta-big": "x" * 2049}, "MetadataTooLarge"),
])
def test_refused_put_leaves_nothing(fnrun, put, get, headers, code):
    put(b"old")
    before = files_of(fnrun)
    assert put(CHECK, **headers).code == code
    assert get().body == b"old"
    assert files_of(fnrun) == before


def test_right_digests(put, get):
    assert put(CHECK, **{"Content-MD5": b64(hashlib.md5(CHECK).digest()),
                         "x-amz-content-sha256": hashlib.sha256(CHECK).hexdigest()}).status == 200
    assert put(CHECK, **{"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}).headers["ETag"] == f'"{hashlib.md5(CHECK).hexdigest()}"'


# --- aws-chunked ---------------------------------------------------------------------------------------------------


def framed(data, size, signed, trailers=""):
    sign = f";chunk-signature={'0' * 64}" if signed else ""
    out = b""
    for i in range(0, len(data), size):
        out += f"{len(data[i:i + size]):x}{sign}\r\n".encode() + data[i:i + size] + b"\r\n"
    return out + f"0{sign}\r\n{trailers}\r\n".encode()


DATA = bytes(range(256)) * 1000
KINDS = {
    "signed": ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", True, False),
    "signed-trailer": ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", True, True),
    "unsigned-trailer": ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", False, True),
}


@pytest.mark.parametrize("twice", [False, True], ids=["plain", "in-http-chunks"])
@pytest.mark.parametrize("kind", KINDS)
def test_framing(put, get, kind, twice):
    sha256, signed, has_trailer = KINDS[kind]
    trailers = f"x-amz-checksum-crc32:{crc32(DATA)}\r\n" if has_trailer else ""
    if signed and has_trailer:
        trailers += f"x-amz-trailer-signature:{'0' * 64}\r\n"
    body = framed(DATA, 8192, signed, trailers)
    headers = {"x-amz-content-sha256": sha256, "Content-Encoding": "gzip, aws-chunked",
               "x-amz-decoded-content-length": str(len(DATA))}
    if has_trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    if twice:
        headers["Transfer-Encoding"] = "chunked"
    answer = put([body[i:i + 777] for i in range(0, len(body), 777)] if twice else body, twice, **headers)
    assert answer.status == 200, answer.body
    assert answer.headers["x-amz-checksum-crc32"] == (crc32(DATA) if has_trailer else None)
    got = get()
    assert (got.body, got.headers["Content-Encoding"]) == (DATA, "gzip")


TRAILER = "x-amz-checksum-crc32:{}\r\n"


@pytest.mark.parametrize("body, code", [
    (framed(DATA, 4096, False, TRAILER.format(crc32(b"else"))), "BadDigest"),
    (framed(DATA, 4096, False, TRAILER.format("?")), "InvalidRequest"),
    (framed(DATA, 4096, False), "MalformedTrailerError"),
    (framed(DATA, 4096, False)[:5000], "IncompleteBody"),
    (framed(DATA[1:], 4096, False, TRAILER.format(crc32(DATA[1:]))), "IncompleteBody"),
    (framed(DATA, 4096, False) + b"more", "IncompleteBody"),
    (b"not hex\r\n", "IncompleteBody"),
    (b"ffffffffffffffffff\r\n", "IncompleteBody"),
    (b"1" * 5000, "IncompleteBody"),
    (b"4\r\nabcdefgh\r\n0\r\n\r\n", "IncompleteBody"),
], ids=["wrong", "invalid", "missing", "cut", "shorter", "longer", "no-hex", "overflow", "long-line", "chunk-too-long"])
def test_bad_framing(fnrun, put, get, body, code):
    put(b"old")
    answer = put(body, **{"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                          "x-amz-decoded-content-length": str(len(DATA)), "x-amz-trailer": "x-amz-checksum-crc32"})
    assert (answer.status, answer.code) == (400, code)
    assert get().body == b"old"


# --- conditions ----------------------------------------------------------------------------------------------------


def test_conditional_writes(put, get):
    etag = put(b"1", key="cond").headers["ETag"]
    assert put(b"2", key="cond", If_None_Match="*").code == "PreconditionFailed"
    assert put(b"2", key="cond", If_Match='"else"').code == "PreconditionFailed"
    assert put(b"2", key="cond-none", If_Match="*").code == "NoSuchKey"
    assert put(b"2", key="cond", If_Match=etag).status == 200
    assert put(b"new", key="cond-new", If_None_Match="*").status == 200
    assert get("cond").body == b"2"


def test_expect_continue(fnrun, put):
    """A client that asks first is refused before it sends its body, and is told to go on where all is well."""
    for headers, wanted in (("If-None-Match: *\r\nContent-Length: 5", b"412 "), ("Content-Length: 6000000000", b"400 "),
                            ("Content-Length: 5", b"100 ")):
        put(b"there", key="expect")
        with socket.create_connection(("127.0.0.1", fnrun.port), 10) as sock:
            sock.sendall(f"PUT /{BUCKET}/expect HTTP/1.1\r\nHost: x\r\n{headers}\r\nExpect: 100-continue\r\n\r\n".encode())
            assert sock.recv(13)[9:] == wanted


def test_length_is_needed(fnrun, put):
    with socket.create_connection(("127.0.0.1", fnrun.port), 10) as sock:
        sock.sendall(f"PUT /{BUCKET}/none HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 411 " in sock.recv(4096)


# --- errors ----------------------------------------------------------------------------------------------------------


def test_error_shape(fnrun, put):
    answer = ask(fnrun, "GET", f"/{BUCKET}/a%26b")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/xml")
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
                                  b"<Message>The specified key does not exist.</Message><Key>a&amp;b</Key>")
    assert f"<RequestId>{answer.headers['x-amz-request-id']}</RequestId>".encode() in answer.body
    answer = ask(fnrun, "HEAD", f"/{BUCKET}/none")
    assert (answer.status, answer.body) == (404, b"")
    answer = ask(fnrun, "GET", f"/{BUCKET}/k?torrent")
    assert (answer.status, answer.code) == (501, "NotImplemented")
    answer = ask(fnrun, "PATCH", f"/{BUCKET}/k")
    assert (answer.status, answer.code) == (405, "MethodNotAllowed")


@pytest.mark.parametrize("path", [
    f"/{BUCKET}/../../../../etc/passwd", f"/{BUCKET}/%2e%2e/%2e%2e/%2e%2e/fnrun.db", f"/{BUCKET}/..%2f..%2ffnrun.db",
    f"/{BUCKET}//etc/passwd", f"/{BUCKET}/.", "/../fnrun.db", "/..%2ffnrun.db", "/%2e%2e/store", "//etc/passwd", "/./x",
])
def test_traversal(fnrun, put, path):
    """A path is a bucket and a key, and nothing else; no file outside the store is read or made."""
    outside = {str(p) for p in fnrun.state.rglob("*") if "store" not in p.parts}
    assert ask(fnrun, "GET", path).status in (400, 404)
    answer = ask(fnrun, "PUT", path, b"mine")
    if path.startswith(f"/{BUCKET}/"):
        assert answer.status == 200
        assert ask(fnrun, "GET", path).body == b"mine"
    else:
        assert answer.status in (400, 404)
    assert all(len(name) == 32 and set(name) <= set("0123456789abcdef") for name in files_of(fnrun))
    new = {str(p) for p in fnrun.state.rglob("*") if "store" not in p.parts} - outside
    assert not [p for p in new if "passwd" in p or "mine" in p]


@pytest.mark.parametrize("path", ["%00", "a%00b", "%ff", "%c0%af", "%ed%a0%80", "%zz", "%4"])
def test_bad_keys(fnrun, put, path):
    for method in ("GET", "PUT"):
        answer = ask(fnrun, method, f"/{BUCKET}/{path}", b"" if method == "PUT" else None)
        assert (answer.status, answer.code) == (400, "InvalidURI")


ENTITIES = ('<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + i)} "{("&" + chr(97 + i) + ";") * 10}">' for i in range(9)) + "]>").encode()


@pytest.mark.parametrize("body", [
    b"", b"<", b"<Delete>", b"<Delete></Delete>", b"<Delete><Object><Key></Key></Object></Delete>", b"\xff\xfe",
    ENTITIES + b"<Delete><Object><Key>&j;</Key></Object></Delete>",
    b'<!DOCTYPE d [<!ENTITY f SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&f;</Key></Object></Delete>',
    b"<a>" * 100000, b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
], ids=["empty", "broken", "open", "none", "no-key", "no-utf8", "bomb", "file", "deep", "too-many"])
def test_bad_xml(fnrun, put, body):
    started = time.monotonic()
    answer = ask(fnrun, "POST", f"/{BUCKET}?delete", body)
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert time.monotonic() - started < 2


# --- the end of fnrund ------------------------------------------------------------------------------------------------


def start_put(instance, key, size, sent):
    sock = socket.create_connection(("127.0.0.1", instance.port), 10)
    sock.sendall(f"PUT /{BUCKET}/{key} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode() + b"n" * sent)
    return sock


def wait_for_restart(instance, pid):
    wait_until(lambda: instance.pids()["fnrund"] != pid, what="another fnrund")
    wait_until(lambda: answers(instance), what="fnrund to answer")


def answers(instance):
    try:
        return ask(instance, "GET", "/").status == 200
    except OSError:
        return False


def test_client_that_leaves(fnrun, put):
    before = files_of(fnrun)
    with start_put(fnrun, "half", 1000000, 500000):
        wait_until(lambda: len(files_of(fnrun)) == len(before) + 1, what="the upload to begin")
    wait_until(lambda: files_of(fnrun) == before, what="the upload to be gone")
    assert ask(fnrun, "GET", f"/{BUCKET}/half").status == 404


def test_kill_in_the_middle(own_fnrun):

    ask(own_fnrun, "PUT", f"/{BUCKET}")
    ask(own_fnrun, "PUT", f"/{BUCKET}/old", b"old")
    upload = ask(own_fnrun, "POST", f"/{BUCKET}/multi?uploads").body.split(b"<UploadId>")[1].split(b"<")[0].decode()
    part = ask(own_fnrun, "PUT", f"/{BUCKET}/multi?uploadId={upload}&partNumber=1", b"part").headers["ETag"]
    kept = files_of(own_fnrun)
    uploads = [start_put(own_fnrun, key, 20_000_000, 10_000_000) for key in ("old", "new", f"multi?uploadId={upload}&partNumber=2")]
    wait_until(lambda: len(files_of(own_fnrun)) == len(kept) + 3, what="the uploads to begin")
    pid = own_fnrun.pids()["fnrund"]
    os.kill(pid, signal.SIGKILL)
    wait_for_restart(own_fnrun, pid)
    assert sorted(files_of(own_fnrun)) == sorted(kept)
    assert ask(own_fnrun, "GET", f"/{BUCKET}/old").body == b"old"
    assert ask(own_fnrun, "GET", f"/{BUCKET}/new").status == 404
    document = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part}</ETag></Part></CompleteMultipartUpload>"
    assert ask(own_fnrun, "POST", f"/{BUCKET}/multi?uploadId={upload}", document.encode()).status == 200
    assert ask(own_fnrun, "GET", f"/{BUCKET}/multi").body == b"part"
    assert len(files_of(own_fnrun)) == 2
    for sock in uploads:
        sock.close()


def test_answered_writes_survive(own_fnrun):
    """Whatever was answered with 200 before the kill is whole after it, and nothing else is there."""

    ask(own_fnrun, "PUT", f"/{BUCKET}")
    done = []

    def write():
        connection = http.client.HTTPConnection("127.0.0.1", own_fnrun.port, timeout=10)
        try:
            for number in range(10000):
                connection.request("PUT", f"/{BUCKET}/{number}", bytes([number % 256]) * 2_000_000)
                if connection.getresponse().read() == b"":
                    done.append(number)
        except OSError:
            pass

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: len(done) >= 5, what="some objects")
    pid = own_fnrun.pids()["fnrund"]
    os.kill(pid, signal.SIGKILL)
    writer.join(20)
    wait_for_restart(own_fnrun, pid)
    for number in done:
        assert ask(own_fnrun, "GET", f"/{BUCKET}/{number}").body == bytes([number % 256]) * 2_000_000
    assert len(files_of(own_fnrun)) in (len(done), len(done) + 1)
