"""Invocations as HTTP shows them, fnrun's own paths, and the unmodified aws CLI."""

import base64
import concurrent.futures
import json
import re

import pytest

from conftest import ROLE, make_zip
from instance import wait_until
from lambda_api import ARN, ECHO, UUID, raw

# --- invoke ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def echo(make_module_function):
    make_module_function("api-invoke", {"app.py": """
import json, os
def handler(event, context):
    if event == "context":
        c = context.client_context
        return {"custom": c.custom, "env": c.env} if c else None
    if event == "trace":
        return os.environ["_X_AMZN_TRACE_ID"]
    if event == "fail":
        raise ValueError("no")
    print("seen")
    return event
"""})
    return "/2015-03-31/functions/api-invoke/invocations"


@pytest.mark.parametrize("kind", ["RequestResponse", "Event"])
def test_function_sees_the_arn_as_it_was_invoked(make_function, lam, fnrun, kind):
    """Qualified exactly when the request was."""
    code = "def handler(event, context):\n    print('seen', event, context.invoked_function_arn)\n"
    name = make_function(f"arn-{kind}", {"app.py": code})
    requests = [{"FunctionName": name}, {"FunctionName": name, "Qualifier": "$LATEST"},
                {"FunctionName": f"{name}:$LATEST"}, {"FunctionName": ARN + name}, {"FunctionName": f"{ARN}{name}:$LATEST"}]
    for n, request in enumerate(requests):
        lam.invoke(**request, InvocationType=kind, Payload=str(n).encode())
        seen = wait_until(lambda: re.search(f"^seen {n} (.*)$", fnrun.function_log(name), re.M), what="the function to run")
        assert seen[1] == ARN + name + (":$LATEST" if "LATEST" in str(request) else ""), request


def test_invoke_headers(fnrun, echo):
    status, headers, body = raw(fnrun, "POST", echo, b'{"a": 1}', {"X-Amz-Log-Type": "Tail"})
    assert (status, json.loads(body)) == (200, {"a": 1})
    assert re.fullmatch(UUID, headers["x-amzn-requestid"])
    assert headers["content-type"] == "application/json"
    assert headers["x-amz-executed-version"] == "$LATEST"
    assert headers["x-amzn-remapped-content-length"] == "0"
    assert re.match("Root=1-[0-9a-f]{8}-[0-9a-f]{24};", headers["x-amzn-trace-id"])
    assert "x-amz-function-error" not in headers
    log = base64.b64decode(headers["x-amz-log-result"]).decode()
    assert f"START RequestId: {headers['x-amzn-requestid']} Version: $LATEST\nseen\nEND RequestId: " in log


def test_invoke_without_a_body_is_an_empty_event(fnrun, echo):
    assert raw(fnrun, "POST", echo)[2] == b"{}"


def test_invoke_failure_is_http_200(fnrun, echo):
    status, headers, body = raw(fnrun, "POST", echo, b'"fail"')
    assert (status, headers["x-amz-function-error"]) == (200, "Unhandled")
    assert json.loads(body)["errorType"] == "ValueError"


def test_invoke_types_without_an_answer(fnrun, echo):
    for kind, wanted in [("Event", 202), ("DryRun", 204)]:
        status, headers, body = raw(fnrun, "POST", echo, b"{}", {"X-Amz-Invocation-Type": kind})
        assert (status, body) == (wanted, b"")
        assert "x-amz-executed-version" not in headers


def test_client_context(fnrun, echo):
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}, "env": {"e": "f"}}).encode()).decode()
    answer = raw(fnrun, "POST", echo, b'"context"', {"X-Amz-Client-Context": context})[2]
    assert json.loads(answer) == {"custom": {"k": "v"}, "env": {"e": "f"}}
    assert raw(fnrun, "POST", echo, b'"context"')[2] == b"null"


def test_trace_goes_on(fnrun, echo):
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    _, headers, body = raw(fnrun, "POST", echo, b'"trace"', {"X-Amzn-Trace-Id": trace})
    assert json.loads(body) == headers["x-amzn-trace-id"] == trace


def test_start_is_told_and_can_be_forced(fnrun, echo):
    raw(fnrun, "POST", echo, b"1")
    assert raw(fnrun, "POST", echo, b"1")[1]["x-fnrun-start"] == "warm"
    headers = raw(fnrun, "POST", echo, b"1", {"X-Fnrun-Start": "cold"})[1]
    assert headers["x-fnrun-start"] == "cold"
    assert int(headers["x-fnrun-init-ns"]) > 0 and int(headers["x-fnrun-create-ns"]) > 0


def test_event_of_6_mib(fnrun, echo):
    event = b'"' + b"x" * (6291456 - 2) + b'"'
    assert raw(fnrun, "POST", echo, event)[2] == event


# --- fnrun's own paths ----------------------------------------------------------------------------------------------


def test_status_counts(fnrun, lam, echo):
    raw(fnrun, "POST", echo, b"1")
    status = json.loads(raw(fnrun, "GET", "/_fnrun/status")[2])
    assert status["functions"] == len(lam.list_functions()["Functions"])
    assert status["instances"] >= status["idle"] + status["busy"] > 0


def test_logs_by_offset(fnrun, echo):
    raw(fnrun, "POST", echo, b'"first"')
    _, headers, whole = raw(fnrun, "GET", "/_fnrun/logs/api-invoke")
    end = int(headers["x-fnrun-next-offset"])
    assert whole.count(b"START RequestId") >= 1
    assert raw(fnrun, "GET", "/_fnrun/logs/api-invoke?offset=-10")[2] == whole[-10:]
    status, headers, nothing = raw(fnrun, "GET", f"/_fnrun/logs/api-invoke?offset={end}")
    assert (status, nothing, int(headers["x-fnrun-next-offset"])) == (200, b"", end)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        follower = pool.submit(raw, fnrun, "GET", f"/_fnrun/logs/api-invoke?offset={end}&wait=20")
        raw(fnrun, "POST", echo, b'"second"')
        assert b"START RequestId" in follower.result(10)[2]


@pytest.mark.parametrize("path, status", [
    ("/_fnrun/logs/nobody", 404), ("/_fnrun/code/nobody", 404), ("/_fnrun/nonsense", 404),
    ("/_fnrun/logs/api-invoke?offset=x", 400), ("/_fnrun/logs/api-invoke?wait=-1", 400),
    ("/_fnrun/logs/..%2f..%2ffnrun.db", 404), ("/_fnrun/code/", 404)])
def test_private_paths_refuse(fnrun, echo, path, status):
    assert raw(fnrun, "GET", path)[0] == status


# --- the aws CLI ----------------------------------------------------------------------------------------------------


def test_aws_cli(fnrun, aws, tmp_path):
    (tmp_path / "code.zip").write_bytes(make_zip(ECHO))
    name = ["--function-name", "api-cli"]
    made = aws("lambda", "create-function", *name, "--runtime", "python3.13", "--role", ROLE,
               "--handler", "app.handler", "--zip-file", f"fileb://{tmp_path}/code.zip", "--environment", "Variables={AB=1}",
               "--tags", "x=y")
    try:
        assert made["State"] == "Pending"
        aws("lambda", "wait", "function-active-v2", *name)
        aws("lambda", "update-function-configuration", *name, "--timeout", "8")
        aws("lambda", "wait", "function-updated-v2", *name)
        assert aws("lambda", "get-function", *name)["Tags"] == {"x": "y"}
        assert aws("lambda", "get-function-configuration", *name, "--qualifier", "$LATEST")["Timeout"] == 8
        told = aws("lambda", "invoke", *name, "--payload", '{"n": 5}', "--cli-binary-format", "raw-in-base64-out",
                   "--log-type", "Tail", tmp_path / "out")
        assert (told["StatusCode"], told["ExecutedVersion"]) == (200, "$LATEST")
        assert (tmp_path / "out").read_text() == '{"n": 5}'
        assert "api-cli" in aws("lambda", "list-functions", "--query", "Functions[].FunctionName")
    finally:
        aws("lambda", "delete-function", *name)
    run = fnrun.aws("lambda", "get-function", *name, ok=False)
    assert "(ResourceNotFoundException) when calling the GetFunction operation" in run.stderr
    assert f"Function not found: {ARN}api-cli" in run.stderr
