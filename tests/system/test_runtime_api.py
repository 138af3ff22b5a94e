"""Custom runtimes (provided.al2023) and the Runtime API they speak: a static C program, bash with curl, and every
request that is wrong."""

import base64
import json
import re
import time
from pathlib import Path

import pytest

from conftest import compile_static
from instance import wait_until

ROOT = Path(__file__).resolve().parents[2]
CUSTOM = {"runtime": "provided.al2023", "handler": "bootstrap"}

# The start of a bootstrap in bash: `next` sets $id and $event, `call METHOD PATH [curl's options]` prints "STATUS BODY".
BASH = r'''#!/bin/bash
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01
next() {
    event=$(curl -sS -D /tmp/headers "$api/runtime/invocation/next")
    id=$(tr -d '\r' </tmp/headers | awk 'tolower($1) == "lambda-runtime-aws-request-id:" { print $2 }')
}
call() { local method=$1 path=$2; shift 2; curl -sS -X "$method" -o /tmp/body -w '%{http_code} ' "$@" "$api$path"; cat /tmp/body; }
answer() { curl -sS -o /dev/null --data-binary "$1" "$api/runtime/invocation/$id/response"; }
'''


@pytest.fixture(scope="module")
def static_runtime(tmp_path_factory):
    return compile_static("runtime.c", tmp_path_factory).read_bytes()


def test_static_program(make_function, invoke, static_runtime):
    name = make_function("static-c", {"bootstrap": static_runtime}, **CUSTOM, Timeout=3)
    for calls in (1, 2, 3):
        before = time.time()
        result = invoke(name, {"text": "ü"}, LogType="Tail")
        value = result.value
        assert value["echo"] == {"text": "ü"}
        assert value["calls"] == calls
        assert value["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:static-c"
        assert before + 2.9 < int(value["deadline_ms"]) / 1000 < time.time() + 3.1
        assert f"call {calls}\n" in base64.b64decode(result.log_result).decode()


def test_static_program_answers_an_error(make_function, invoke, static_runtime):
    name = make_function("static-c-error", {"bootstrap": static_runtime}, **CUSTOM)
    assert invoke(name, {"fail": 1}).failure == {"errorType": "My.Error", "errorMessage": "as asked", "stackTrace": []}
    assert invoke(name, {}).value["calls"] == 2


def test_hello_shell_example(make_function, invoke, fnrun):
    bootstrap = (ROOT / "tools/examples/hello-shell/bootstrap").read_bytes()
    name = make_function("hello-shell", {"bootstrap": bootstrap}, **CUSTOM)
    for calls in (1, 2):
        value = invoke(name, {"name": "Ada"}).value
        assert value["hello"] == "Ada" and value["calls"] == calls and value["from"].startswith("bash 5")
        fnrun.wait_idle()


def test_environment_and_place(make_function, invoke):
    code = BASH + 'while next; do env >/tmp/env; answer "$(base64 -w0 /tmp/env | sed \'s/.*/"&"/\')"; done'
    text = base64.b64decode(invoke(make_function("custom-env", {"bootstrap": code}, **CUSTOM)).value).decode()
    env = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert env["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:9001"
    assert env["_HANDLER"] == "bootstrap" and env["PWD"] == "/var/task" and env["LAMBDA_TASK_ROOT"] == "/var/task"
    assert "AWS_EXECUTION_ENV" not in env and "_FNRUN_CHANNEL_FD" not in env


def test_next_headers(make_function, invoke):
    code = BASH + 'while next; do answer "$(base64 -w0 /tmp/headers | sed \'s/.*/"&"/\')"; done'
    context = base64.b64encode(b'{"custom":{"k":"v"}}').decode()
    result = invoke(make_function("next-headers", {"bootstrap": code}, **CUSTOM), ClientContext=context)
    lines = base64.b64decode(result.value).decode().splitlines()
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines if ": " in line)}
    assert headers["lambda-runtime-aws-request-id"] == result.request_id
    assert headers["lambda-runtime-trace-id"].startswith("Root=1-")
    assert json.loads(headers["lambda-runtime-client-context"]) == {"custom": {"k": "v"}}
    assert headers["content-type"] == "application/json"


# Each line: name | method | path | what AWS answers (status, error type). ID stands for the current request id.
WRONG_REQUESTS = [
    ("unknown id", "POST", "/runtime/invocation/11111111-1111-4111-8111-111111111111/response", 400, "InvalidRequestID"),
    ("unknown id, error", "POST", "/runtime/invocation/nonsense/error", 400, "InvalidRequestID"),
    ("prefix of the id", "POST", "/runtime/invocation/${id:0:8}/response", 400, "InvalidRequestID"),
    ("init error after init", "POST", "/runtime/init/error", 403, "InvalidStateTransition"),
    ("next while busy", "GET", "/runtime/invocation/next", 403, "InvalidStateTransition"),
    ("unknown path", "GET", "/runtime/nothing", 404, None),
    ("other version", "GET", "/../2011-01-01/runtime/invocation/next", 404, None),
    ("wrong method", "PUT", "/runtime/invocation/next", 405, None),
    ("wrong method for a response", "GET", "/runtime/invocation/$id/response", 405, None),
]


def test_wrong_requests(make_function, invoke):
    calls = "".join(f'echo "$(call {method} "{path}" --path-as-is -d "{{}}")"\n' for _, method, path, _, _ in WRONG_REQUESTS)
    code = BASH + f'next\n({calls}) >/tmp/answers\nanswer "$(base64 -w0 /tmp/answers | sed \'s/.*/"&"/\')"\nnext\n'
    result = invoke(make_function("wrong-requests", {"bootstrap": code}, **CUSTOM, Timeout=10))
    answers = base64.b64decode(result.value).decode().splitlines()
    assert len(answers) == len(WRONG_REQUESTS)
    for (name, _, _, status, error_type), answer in zip(WRONG_REQUESTS, answers):
        got_status, body = answer.split(" ", 1)
        assert int(got_status) == status, f"{name}: {answer}"
        if error_type:
            assert json.loads(body)["errorType"] == error_type, f"{name}: {answer}"
            assert json.loads(body)["errorMessage"], name


def test_second_response(make_function, invoke, fnrun):
    code = BASH + r'''
said='"first"'
while next; do
    first=$(call POST "/runtime/invocation/$id/response" --data-binary "$said")
    second=$(call POST "/runtime/invocation/$id/response" --data-binary '"again"')
    said="[\"${first//\"/\\\"}\", \"${second//\"/\\\"}\"]"
done'''
    name = make_function("second-response", {"bootstrap": code}, **CUSTOM)
    assert invoke(name).value == "first"
    fnrun.wait_idle()
    first, second = invoke(name).value
    assert first == '202 {"status":"OK"}'
    assert second.startswith("403 ") and json.loads(second[4:])["errorType"] == "InvalidStateTransition"


def test_ping(make_function, invoke):
    code = BASH + 'next; answer "\\"$(call GET /ping)\\""; next'
    assert invoke(make_function("ping", {"bootstrap": code}, **CUSTOM)).value == "200 pong"


def test_chunked_response(make_function, invoke):
    code = BASH + r'''
while next; do
    printf '{"sum": "%0100000d"}' 7 | curl -sS -o /dev/null -X POST -H 'Transfer-Encoding: chunked' \
        -T - "$api/runtime/invocation/$id/response"
done'''
    assert invoke(make_function("chunked", {"bootstrap": code}, **CUSTOM)).value == {"sum": "7".zfill(100000)}


def test_response_too_large(make_function, invoke, fnrun):
    code = BASH + r'''
while next; do
    head -c 6291557 /dev/zero | tr '\0' x >/tmp/large
    [[ $event == *small* ]] && { answer "\"$said\""; continue; }
    said=$(call POST "/runtime/invocation/$id/response" -H 'Expect:' --data-binary @/tmp/large | base64 -w0)
done'''
    name = make_function("custom-large", {"bootstrap": code}, **CUSTOM, MemorySize=512, Timeout=10)
    assert invoke(name, {"answer": "large"}).failure["errorType"] == "Function.ResponseSizeTooLarge"
    fnrun.wait_idle()
    said = base64.b64decode(invoke(name, {"answer": "small"}).value).decode()
    assert said.startswith("413 ") and json.loads(said[4:])["errorType"] == "RequestEntityTooLarge"


def test_binary_answer_comes_back_unchanged(make_function, invoke):
    code = BASH + r'''while next; do
    printf '\x00\xff\x01not json' | curl -sS -o /dev/null --data-binary @- "$api/runtime/invocation/$id/response"; done'''
    assert invoke(make_function("binary-answer", {"bootstrap": code}, **CUSTOM)).raw == b"\x00\xff\x01not json"


def test_init_error(make_function, invoke):
    code = BASH + r'''
call POST /runtime/init/error -H 'Lambda-Runtime-Function-Error-Type: My.Init' \
    -d '{"errorType": "My.Init", "errorMessage": "cannot begin"}'
exit 1'''
    failure = invoke(make_function("custom-init-error", {"bootstrap": code}, **CUSTOM)).failure
    assert failure == {"errorType": "My.Init", "errorMessage": "cannot begin"}


@pytest.mark.parametrize("name, code, message", [
    ("custom-exits", "#!/bin/bash\nexit 9", "Runtime exited with error: exit status 9"),
    ("custom-exits-0", "#!/bin/bash\nexit 0", "Runtime exited without providing a reason"),
    ("custom-dies", "#!/bin/bash\nkill -KILL $$", "Runtime exited with error: signal: killed"),
    ("custom-exits-busy", BASH + "next; exit 5", "Runtime exited with error: exit status 5"),
])
def test_death(make_function, invoke, name, code, message):
    result = invoke(make_function(name, {"bootstrap": code}, **CUSTOM))
    assert result.failure == {"errorType": "Runtime.ExitError",
                              "errorMessage": f"RequestId: {result.request_id} Error: {message}"}


# --- between the answer and the next request: the invocation goes on until the runtime asks ---

def timed(invoke, *args, **kw):
    before = time.monotonic()
    result = invoke(*args, **kw)
    return result, time.monotonic() - before


def log_of(fnrun, name, request_id, mark):
    """The part of a function's log that begins with that request's START, once `mark` is in it."""
    def part():
        text = fnrun.function_log(name)
        text = text[text.index(f"START RequestId: {request_id}"):]
        return text if mark in text else None
    return wait_until(part, what=f"{mark!r} in the log")


def test_output_after_the_answer_belongs_to_the_invocation(make_function, invoke, fnrun):
    name = make_function("after", {"bootstrap": BASH + 'while next; do echo one; answer 1; echo two; done'}, **CUSTOM)
    for _ in range(3):
        result = invoke(name, LogType="Tail")
        lines = base64.b64decode(result.log_result).decode().splitlines()
        lines = lines[lines.index(f"START RequestId: {result.request_id} Version: $LATEST"):]
        assert result.value == 1 and lines[1:4] == ["one", "two", f"END RequestId: {result.request_id}"]
        assert lines[4].startswith(f"REPORT RequestId: {result.request_id}\t") and len(lines) == 5
    # Nobody waits for the log here, but it is the same.
    result = invoke(name)
    assert f"\none\ntwo\nEND RequestId: {result.request_id}\n" in log_of(fnrun, name, result.request_id, "REPORT")


def test_answer_does_not_wait_for_what_comes_after_it(make_function, invoke, fnrun):
    code = BASH + 'while next; do echo one; answer 1; sleep 3; echo two; done'
    name = make_function("long-after", {"bootstrap": code}, **CUSTOM, Timeout=10)
    result, seconds = timed(invoke, name)
    assert result.value == 1 and seconds < 2.5
    log = log_of(fnrun, name, result.request_id, f"REPORT RequestId: {result.request_id}")
    assert f"\none\ntwo\nEND RequestId: {result.request_id}\n" in log
    assert float(re.search(r"\tDuration: ([\d.]+) ms", log)[1]) >= 3000
    # Who wants the log waits for its end, though not for long.
    fnrun.wait_idle()
    result, seconds = timed(invoke, name, LogType="Tail")
    assert result.value == 1 and 0.9 < seconds < 2.5
    tail = base64.b64decode(result.log_result).decode()
    assert tail == f"START RequestId: {result.request_id} Version: $LATEST\none\n"


def test_runtime_that_asks_for_no_more_is_ended_at_its_time_limit(make_function, invoke, fnrun):
    code = BASH + 'next; answer "$RANDOM$RANDOM"; sleep 60'
    name = make_function("no-next", {"bootstrap": code}, **CUSTOM, Timeout=2)
    first, seconds = timed(invoke, name)
    assert first.error is None and seconds < 1.9
    log = log_of(fnrun, name, first.request_id, "REPORT")
    assert f"{first.request_id} Task timed out after 2.00 seconds" in log
    assert log.splitlines()[-1].endswith("\tStatus: timeout")
    assert invoke(name).value != first.value


def test_runtime_that_ends_after_its_answer(make_function, invoke, fnrun):
    code = BASH + 'next; answer "$RANDOM$RANDOM"; echo bye; exit 0'
    name = make_function("one-shot", {"bootstrap": code}, **CUSTOM)
    for _ in range(2):
        result = invoke(name, LogType="Tail")
        assert result.error is None
        tail = base64.b64decode(result.log_result).decode()
        assert f"\nbye\nEND RequestId: {result.request_id}\nREPORT " in tail and "Status" not in tail


# --- failures ---

# An ELF header for a processor that this is not.
OTHER_MACHINE = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00\x01\x00\x00\x00" + bytes(40)

ENTRY_POINTS = {
    "no-bootstrap": ({"readme": "nothing"}, 0o755,
                     "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"),
    "other-machine": ({"bootstrap": OTHER_MACHINE}, 0o755, "exec /var/task/bootstrap: Exec format error"),
    "no-interpreter": ({"bootstrap": "#!/bin/none\n"}, 0o755, "exec /var/task/bootstrap: No such file or directory"),
    "not-executable": ({"bootstrap": BASH}, 0o644, "exec /var/task/bootstrap: Permission denied"),
}


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_entry_point_that_cannot_start(make_function, invoke, fnrun, name):
    """The caller is told, and so are the log and its tail, as with any other init that fails."""
    files, mode, why = ENTRY_POINTS[name]
    result = invoke(make_function(name, files, mode=mode, **CUSTOM), LogType="Tail")
    assert result.failure == {"errorType": "Runtime.InvalidEntrypoint",
                              "errorMessage": f"RequestId: {result.request_id} Error: {why}"}
    tail = base64.b64decode(result.log_result).decode()
    assert re.fullmatch(r"INIT_START Runtime Version: provided.al2023\n"
                        r"START RequestId: {0} Version: \$LATEST\n"
                        r"END RequestId: {0}\nREPORT RequestId: {0}\tDuration: [\d.]+ ms\t.*\t"
                        r"Status: error\tError Type: Runtime.InvalidEntrypoint\n".format(result.request_id), tail), tail
    assert fnrun.function_log(name).endswith(tail)


def test_timeout(make_function, invoke):
    name = make_function("custom-timeout", {"bootstrap": BASH + "while next; do sleep 30; done"}, **CUSTOM, Timeout=1)
    assert invoke(name).failure["errorType"] == "Sandbox.Timedout"


def test_what_runs_on_after_the_answer_is_ended_with_the_sandbox(make_function, invoke, fnrun):
    """A background process neither keeps the invocation open nor outlives its function."""
    code = BASH + "while next; do (exec -a left-running sleep 1000) & answer '\"answered\"'; done"
    name = make_function("background", {"bootstrap": code}, **CUSTOM)
    assert invoke(name).value == "answered"
    assert [p for p in fnrun.sandboxed().values() if "left-running" in p[3]]


def test_s3_from_inside(make_function, invoke, s3):
    """The function's AWS endpoint, without any network: what it writes a client outside reads."""
    code = BASH + r'''
while next; do
    status=$(curl -sS -o /tmp/body -w '%{http_code}' -T /var/task/bootstrap "$AWS_ENDPOINT_URL/from-inside/written")
    answer "[\"$status\", \"$(curl -sS "$AWS_ENDPOINT_URL/from-inside/put")\"]"
done'''
    s3.create_bucket(Bucket="from-inside")
    s3.put_object(Bucket="from-inside", Key="put", Body=b"from outside")
    assert invoke(make_function("s3-inside", {"bootstrap": code}, **CUSTOM)).value == ["200", "from outside"]
    assert s3.get_object(Bucket="from-inside", Key="written")["Body"].read().decode() == code
    for key in ("put", "written"):
        s3.delete_object(Bucket="from-inside", Key=key)
    s3.delete_bucket(Bucket="from-inside")
