"""What the bootstraps of both languages must do alike: the channel, the context, the environment, log order."""

import json
import time

import pytest

from runtimes import ARN, ERROR, LANGUAGES, READY, RESPONSE, start  # noqa: F401 (start is a fixture)

PYTHON = """
import os, sys, time
count = 0
def handler(event, context):
    global count
    count += 1
    print("handling", count)
    if event == "size":
        return "x" * 7000000
    if event == "env":
        return dict(os.environ)
    if event == "child":
        return os.popen("ls /proc/self/fd").read().split()
    if event == "exit":
        sys.exit(3)
    if event == "left":
        first = context.get_remaining_time_in_millis()
        time.sleep(0.02)
        return [first, context.get_remaining_time_in_millis()]
    if event == "partial":
        sys.stdout.write("no line end"); sys.stderr.write("on stderr")
    return {"count": count, "event": event}
"""

NODE = """
const fs = require('fs'), { execSync } = require('child_process');
let count = 0;
exports.handler = async (event, context) => {
  count++;
  console.log('handling', count);
  if (event === 'size') return 'x'.repeat(7000000);
  if (event === 'env') return process.env;
  if (event === 'child') return execSync('ls /proc/self/fd').toString().trim().split('\\n');
  if (event === 'exit') process.exit(3);
  if (event === 'left') {
    const first = context.getRemainingTimeInMillis();
    await new Promise((resolve) => setTimeout(resolve, 20));
    return [first, context.getRemainingTimeInMillis()];
  }
  if (event === 'partial') { process.stdout.write('no line end'); process.stderr.write('on stderr'); }
  return { count, event };
};
"""

FILES = {"python": {"app.py": PYTHON}, "node": {"app.js": NODE}}


@pytest.fixture(params=LANGUAGES)
def runtime(request, start):  # noqa: F811
    return start(request.param, "app.handler", FILES[request.param])


def test_ready_then_results_with_state_kept(runtime):
    assert (runtime.first.kind, runtime.first.head, runtime.first.body) == (READY, {}, b"")
    assert runtime.result({"a": [1, "ä", None]}) == {"count": 1, "event": {"a": [1, "ä", None]}}
    assert runtime.result() == {"count": 2, "event": None}


def test_leaves_when_the_channel_ends(runtime):
    runtime.result()
    assert runtime.exit_status() == 0


def test_event_in_pieces(runtime):
    body = json.dumps("y" * 300000).encode()
    runtime.send(body)
    assert runtime.receive().value["event"] == "y" * 300000
    for byte in runtime.frame(b'"z"'):
        runtime.channel.sendall(bytes([byte]))
        time.sleep(0.0002)
    assert runtime.receive().value["event"] == "z"


def test_large_response_arrives_whole(runtime):
    assert len(runtime.invoke("size").body) == 7000002
    assert runtime.result()["count"] == 2


def test_trace_id_is_set_per_invocation_and_channel_is_hidden(runtime):
    env = runtime.result("env", trace="Root=1-abc")
    assert env["_X_AMZN_TRACE_ID"] == "Root=1-abc"
    assert "_FNRUN_CHANNEL_FD" not in env
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == "fn"
    assert "_X_AMZN_TRACE_ID" not in runtime.result("env", trace="")


def test_child_processes_do_not_get_the_channel(runtime):
    assert "15" not in runtime.result("child")


def test_remaining_time_counts_down(runtime):
    first, second = runtime.result("left")
    assert 2500 < first <= 3000 and first - 200 < second <= first - 19


def test_exit_in_the_handler_ends_the_process(runtime):
    assert runtime.invoke("exit") is None
    assert runtime.exit_status() == 3


def test_output_is_in_the_pipe_before_the_reply(runtime):
    runtime.result("partial")
    logs = runtime.logs_now()
    assert "handling 1\n" in logs and "no line end" in logs and "on stderr" in logs
    for count in range(2, 30):
        runtime.result()
        assert f"handling {count}\n" in runtime.logs_now()


def test_unparsable_client_data_does_not_reach_the_function(runtime):
    reply = runtime.invoke("x", client_context="{", identity=None)
    assert reply.kind == ERROR
    assert runtime.invoke().kind == RESPONSE


@pytest.mark.parametrize("language", LANGUAGES)
def test_context_has_client_and_identity(start, language):  # noqa: F811
    files = {
        "app.py": "def handler(event, c): return [c.client_context.custom, c.client_context.env, "
        "c.client_context.client.app_title, c.client_context.client.app_version_code, "
        "c.identity.cognito_identity_id, c.identity.cognito_identity_pool_id, c.invoked_function_arn]",
        "app.js": "exports.handler = async (event, c) => [c.clientContext.custom, c.clientContext.env, "
        "c.clientContext.client.app_title, c.clientContext.client.app_version_code ?? null, "
        "c.identity.cognitoIdentityId, c.identity.cognitoIdentityPoolId, c.invokedFunctionArn]",
    }
    client = json.dumps({"custom": {"a": "b"}, "env": {"x": "y"}, "client": {"app_title": "t"}})
    identity = json.dumps({"cognitoIdentityId": "i", "cognitoIdentityPoolId": "p"})
    runtime = start(language, "app.handler", files)
    got = runtime.result(client_context=client, identity=identity)
    assert got == [{"a": "b"}, {"x": "y"}, "t", None, "i", "p", ARN]
