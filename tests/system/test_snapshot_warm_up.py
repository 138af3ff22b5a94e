"""The warm-up event: a call of the handler before the snapshot is taken."""

import json
import urllib.error
import urllib.request

import pytest

from conftest import create_function, invoke_function
from instance import wait_until
from snapshots import Snapshots


@pytest.fixture(scope="module")
def snapshots():
    made = Snapshots()
    yield made
    made.instance.close()


PYTHON = """
import os, time
events = []
def handler(event, context):
    print("called with", event)
    events.append(event)
    if "error" in event:
        raise LookupError(event["error"])
    if "exit" in event:
        os._exit(3)
    time.sleep(event.get("sleep", 0))
    return events
"""

NODE = """
const events = []
exports.handler = async (event) => {
  events.push(event)
  if (event.error) throw new RangeError(event.error)
  if (event.exit) process.exit(3)
  if (event.sleep) await new Promise((resolve) => setTimeout(resolve, event.sleep * 1000))
  return events
}
"""

FUNCTIONS = {"python": ({"app.py": PYTHON}, {}),
             "node": ({"index.js": NODE}, {"runtime": "nodejs20.x", "handler": "index.handler"})}


def send(snapshots, method, name, body=None):
    request = urllib.request.Request(f"{snapshots.instance.endpoint}/_fnrun/warm-up/{name}", body, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["message"]


def make(snapshots, language, name, event, **kw):
    """A function with a warm-up event and its snapshot; what a restored instance remembers."""
    files, more = FUNCTIONS[language]
    create_function(snapshots.client, name, files, MemorySize=512, **more, **kw)
    assert send(snapshots, "PUT", name, json.dumps(event).encode()) == (204, b"")
    invoke_function(snapshots.client, name).raw
    state = wait_until(lambda: snapshots.settled(name), 30, f"the snapshot of {name}")
    assert state["state"] == "ready", state
    how, events = snapshots.restore(name, b'{"now": 1}')
    assert how == "restored" and events[-1] == {"now": 1}
    return events[:-1]


def log_line(snapshots, name, word):
    line, = [line for line in snapshots.instance.function_log(name).splitlines() if line.startswith(word)]
    return line


@pytest.mark.parametrize("language", FUNCTIONS)
def test_handler_has_been_called_with_it_once(snapshots, language):
    event = {"k": ["ä", 1.5, None], "n": {}}
    assert make(snapshots, language, f"warm-{language}", event) == [event]
    assert snapshots.restore(f"warm-{language}")[1] == [event, {}]
    request_id = log_line(snapshots, f"warm-{language}", "WARM_UP_START RequestId: ").split()[-1]
    assert log_line(snapshots, f"warm-{language}", "WARM_UP_END").startswith(f"WARM_UP_END RequestId: {request_id}\tDuration: ")
    assert "WARM_UP_GIVEN_UP" not in snapshots.instance.function_log(f"warm-{language}")


@pytest.mark.parametrize("language,error", [("python", "LookupError"), ("node", "RangeError")])
def test_failing_one_is_told_in_the_log_and_kept(snapshots, language, error):
    name = f"error-{language}"
    assert make(snapshots, language, name, {"error": "xyz"}) == [{"error": "xyz"}]
    assert log_line(snapshots, name, "WARM_UP_END").endswith(f"\tStatus: error\tError Type: {error}")


@pytest.mark.parametrize("language", FUNCTIONS)
@pytest.mark.parametrize("event,status", [({"exit": 1}, "error\tError Type: Runtime.ExitError"), ({"sleep": 60}, "timeout")])
def test_snapshot_is_made_without_one_that_the_process_does_not_survive(snapshots, language, event, status):
    name = f"lost-{language}-{status[0]}"
    assert make(snapshots, language, name, event, Timeout=1) == []
    assert log_line(snapshots, name, "WARM_UP_END").endswith(f"\tStatus: {status}")
    assert log_line(snapshots, name, "WARM_UP_GIVEN_UP")


def test_change_of_it_makes_a_new_snapshot(snapshots):
    assert make(snapshots, "python", "changed", {"a": 1}) == [{"a": 1}]
    first = snapshots.state("changed")["id"]
    revision = snapshots.client.get_function_configuration(FunctionName="changed")["RevisionId"]
    assert send(snapshots, "GET", "changed") == (200, b'{"a": 1}')
    assert send(snapshots, "PUT", "changed", b'{"a": 1}') == (204, b"")
    assert snapshots.state("changed")["id"] == first
    assert send(snapshots, "DELETE", "changed") == (204, b"")
    assert snapshots.client.get_function_configuration(FunctionName="changed")["RevisionId"] != revision
    invoke_function(snapshots.client, "changed").raw
    assert wait_until(lambda: snapshots.settled("changed"))["id"] != first
    assert snapshots.restore("changed") == ("restored", [{}])
    assert send(snapshots, "GET", "changed")[0] == 404


def test_what_is_none_is_refused(snapshots):
    create_function(snapshots.client, "strict", {"app.py": PYTHON})
    assert send(snapshots, "PUT", "strict", b'{"a": 1') == (400, "the warm-up event is no JSON")
    assert send(snapshots, "PUT", "strict", b"") == (400, "the warm-up event is no JSON")
    assert send(snapshots, "PUT", "strict", b'"%s"' % (b"a" * 65535))[0] == 413
    assert send(snapshots, "PUT", "strict", b'"%s"' % (b"a" * 65534))[0] == 204
    assert send(snapshots, "PUT", "nobody", b"{}") == (404, "no such function: nobody")
    assert send(snapshots, "POST", "strict", b"{}")[0] == 405
    assert len(json.loads(send(snapshots, "GET", "strict")[1])) == 65534


def test_survives_an_update_of_the_function_and_a_restart(snapshots):
    create_function(snapshots.client, "stays", {"app.py": PYTHON})
    send(snapshots, "PUT", "stays", b'{"a": 1}')
    snapshots.client.update_function_configuration(FunctionName="stays", MemorySize=256)
    snapshots.instance.restart()
    assert send(snapshots, "GET", "stays") == (200, b'{"a": 1}')
    assert "WarmUp" not in snapshots.client.get_function(FunctionName="stays")["Configuration"]


def test_deploy_sets_and_removes_it(snapshots, tmp_path):
    (tmp_path / "app.py").write_text(PYTHON)
    (tmp_path / "fnrun.json").write_text('{"name": "deployed", "warmUp": {"from": ["the", "file"]}}')
    (tmp_path / "event.json").write_text('{"from": "another file"}')

    def deploy(*options):
        run = snapshots.instance.cli("deploy", tmp_path, *options)
        return run.returncode, send(snapshots, "GET", "deployed")

    assert deploy() == (0, (200, b'{"from":["the","file"]}'))
    assert deploy("--warm-up", '{"from": "here"}') == (0, (200, b'{"from": "here"}'))
    assert deploy("--warm-up", f"@{tmp_path}/event.json") == (0, (200, b'{"from": "another file"}'))
    assert deploy("--warm-up", "{") == (2, (200, b'{"from": "another file"}'))
    (tmp_path / "fnrun.json").write_text('{"name": "deployed"}')
    assert deploy() == (0, (200, b'{"from": "another file"}'))
    assert deploy("--warm-up", "") == (0, (404, "the function has no warm-up event"))
