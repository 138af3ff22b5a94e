"""The limits of a sandbox and of the API's payloads, each reached from inside a real function."""

import base64
import json
import re

import pytest
from botocore.exceptions import ClientError

from conftest import compile_static

RUN = '''
import subprocess

def handler(event, context):
    return int(subprocess.run(["/var/task/limits", event["what"]], stdout=subprocess.PIPE, check=True).stdout)
'''
MIB = 1 << 20
PAYLOAD_MAX = 6 * MIB
RESPONSE_MAX = PAYLOAD_MAX + 100


@pytest.fixture(scope="module")
def limits_program(tmp_path_factory):
    return compile_static("limits.c", tmp_path_factory).read_bytes()


@pytest.fixture
def measure(make_function, invoke, limits_program):
    """measure(what, ...): makes a function with these settings and asks it how much there is."""
    def run(what, memory=512, **kw):
        name = make_function(f"limit-{what}-{memory}", {"app.py": RUN, "limits": limits_program}, Timeout=20,
                             MemorySize=memory, **kw)
        return invoke(name, {"what": what}).value
    return run


def test_processes(measure):
    assert 1000 <= measure("processes") <= 1024


def test_files(measure):
    assert 1000 <= measure("files") <= 1024


@pytest.mark.parametrize("megabytes", [512, 600])
def test_tmp_size(measure, megabytes):
    kilobytes = measure("tmp", memory=1024, EphemeralStorage={"Size": megabytes})
    assert megabytes * 1024 * 0.97 <= kilobytes <= megabytes * 1024


def test_tmp_is_empty_again_for_the_next_function(measure, make_function, invoke):
    name = make_function("tmp-look", {"app.py": "import os\ndef handler(e, c):\n"
                                                "    before = os.listdir('/tmp')\n    open('/tmp/mine', 'w')\n"
                                                "    return before\n"})
    assert invoke(name).value == []
    assert invoke(name).value == ["mine"], "/tmp stays while the sandbox is warm"


@pytest.mark.parametrize("memory, least, most", [(128, 40, 110), (886, 250, 620), (1769, 500, 1020)])
def test_cpu_share_follows_memory(measure, memory, least, most):
    """Thousandths of a CPU: 1,769 MB are one. Machines that are busy give less, never more."""
    assert least <= measure("cpu", memory=memory) / 2 <= most


def test_memory(make_function, invoke):
    name = make_function("memory", {"app.py": "def handler(event, c):\n    return len(bytearray(event['mb'] << 20))\n"},
                         MemorySize=128, Timeout=10)
    assert invoke(name, {"mb": 64}).value == 64 * MIB
    result = invoke(name, {"mb": 300}, LogType="Tail")
    assert result.failure["errorType"] in ("Runtime.ExitError", "Runtime.OutOfMemory")
    assert re.fullmatch(rf"RequestId: {result.request_id} Error: Runtime exited with error: signal: killed",
                        result.failure["errorMessage"])
    assert "\tMemory Size: 128 MB\tMax Memory Used: 128 MB\t" in base64.b64decode(result.log_result).decode()
    assert invoke(name, {"mb": 1}).value == MIB, "a new sandbox takes over"


def test_memory_of_children_counts(make_function, invoke):
    code = ("import subprocess\ndef handler(e, c):\n"
            "    p = subprocess.run(['python3.13', '-c', 'print(len(bytearray(400 << 20)))'], capture_output=True)\n"
            "    return [p.returncode, p.stdout.decode()]\n")
    result = invoke(make_function("memory-child", {"app.py": code}, MemorySize=128, Timeout=10))
    assert result.error == "Unhandled" or result.value == [-9, ""]


CONNECT = '''
import http.client, socket, time

def ask(connection, path):
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status

def is_open(s):
    s.setblocking(False)
    try:
        return s.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False

def handler(event, context):
    port, path = event["port"], event["path"]
    first = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    before = ask(first, path)
    others = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(400)]
    time.sleep(0.5)
    held = [s for s in others if is_open(s)]
    said = [before, len(held) + 1, ask(first, path)]
    for s in others:
        s.close()
    time.sleep(0.5)
    return said + [ask(http.client.HTTPConnection("127.0.0.1", port, timeout=5), path)]
'''


@pytest.mark.parametrize("port, path", [(9001, "/2018-06-01/ping"), (9002, "/_fnrun/status")])
def test_connections_to_the_manager(make_function, invoke, fnrun, port, path):
    """Each is held by fnrund: those above 128 are closed, the others work on."""
    name = make_function(f"connections-{port}", {"app.py": CONNECT}, Timeout=60)
    assert invoke(name, {"port": port, "path": path}).value == [200, 128, 200, 200]


# --- payloads --------------------------------------------------------------------------------------------------------


ECHO = {
    "python3.13": {"app.py": "def handler(event, c):\n    return 'x' * event if isinstance(event, int) else event\n"},
    "nodejs20.x": {"app.js": "exports.handler = async e => typeof e === 'number' ? 'x'.repeat(e) : e"},
}


@pytest.fixture(scope="module", params=ECHO)
def echo(request, make_module_function):
    return make_module_function("payload-" + request.param.split(".")[0], ECHO[request.param], runtime=request.param,
                                MemorySize=1024, Timeout=20)


def test_largest_payload(invoke, echo):
    event = b'"' + b"p" * (PAYLOAD_MAX - 2) + b'"'
    assert invoke(echo, event).raw == event


def test_payload_too_large(invoke, echo):
    with pytest.raises(ClientError) as error:
        invoke(echo, b'"' + b"p" * (PAYLOAD_MAX - 1) + b'"')
    answer = error.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert answer["Error"]["Code"] == "RequestTooLargeException"
    assert "Request must be smaller than 6291456 bytes for the InvokeFunction operation" in answer["Error"]["Message"]


def test_largest_response(invoke, echo):
    assert len(invoke(echo, RESPONSE_MAX - 2).raw) == RESPONSE_MAX


def test_response_too_large(invoke, echo):
    failure = invoke(echo, RESPONSE_MAX - 1).failure
    assert failure == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes)."}
    assert invoke(echo, {"still": "alive"}).value == {"still": "alive"}


@pytest.mark.parametrize("body", [b"{", b"not json", b'{"a": 1} trailing', b"\xff\xfe", b"'single'"])
@pytest.mark.parametrize("kind", ["RequestResponse", "Event"])
def test_payload_that_is_no_json(invoke, echo, body, kind):
    with pytest.raises(ClientError) as error:
        invoke(echo, body, InvocationType=kind)
    answer = error.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["Error"]["Code"] == "InvalidRequestContentException"
    assert "Could not parse request body into json" in answer["Error"]["Message"]


def test_deeply_nested_json(invoke, echo):
    """Either it is refused or it comes back; nothing may die of it."""
    event = b"[" * 500 + b"]" * 500
    assert invoke(echo, event).value == json.loads(event)
