"""Third-party runtimes from snapshots: they are dumped while they wait for an answer of the Runtime API, with their end of
the connection, and restored with both."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import compile_static, invoke_function
from instance import wait_until
from test_snapshots import Snapshots

ROOT = Path(__file__).resolve().parents[2]
CUSTOM = {"runtime": "provided.al2023", "handler": "bootstrap"}

# As in AWS's tutorial for custom runtimes: the headers go to a file that mktemp has made during init.
SHELL = r'''#!/bin/bash
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
headers=$(mktemp)
made=$(date +%s%N)
calls=0
next() {
    event=$(curl -sS -LD "$headers" "$api/invocation/next")
    id=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$headers" | tr -d '[:space:]' | cut -d: -f2)
    calls=$((calls + 1))
}
answer() { curl -sS -o /dev/null --data-binary "$1" "$api/invocation/$id/response"; }
'''

STATE = '''
while next; do
    echo "call $calls of $$"
    (echo "from a child" >&2)
    answer "{\\"calls\\": $calls, \\"made\\": $made, \\"pid\\": $$, \\"event\\": $event, \\"random\\": [$SRANDOM, $(od -An -N6 -tu8 /dev/urandom)],
            \\"type\\": \\"$AWS_LAMBDA_INITIALIZATION_TYPE\\"}"
done
'''

# The hook writes what is new in each instance; with $FAIL it reports that it can't.
HOOK = '''
hooked=none
if [ "$AWS_LAMBDA_INITIALIZATION_TYPE" = snap-start ]; then
    status=$(curl -sS -o /tmp/body -w '%{http_code}' "$api/restore/next")
    hooked="$status $(stat -c %s /tmp/body) $(od -An -N8 -tx8 /dev/urandom | tr -d ' ')"
    if [ -n "$FAIL" ]; then
        curl -sS -w ' %{http_code}' -H 'Lambda-Runtime-Function-Error-Type: My.RestoreError' --data-binary \\
            '{"errorType": "My.RestoreError", "errorMessage": "no luck", "stackTrace": []}' "$api/restore/error"
        exit 1
    fi
else
    status=$(curl -sS -o /dev/null -w '%{http_code}' "$api/restore/next")
    hooked="$status cold"
fi
while next; do answer "{\\"calls\\": $calls, \\"hooked\\": \\"$hooked\\"}"; done
'''


@pytest.fixture(scope="module")
def snapshots():
    made = Snapshots()
    yield made
    made.instance.close()


@pytest.fixture(scope="module")
def static_runtime(tmp_path_factory):
    return compile_static("runtime.c", tmp_path_factory).read_bytes()


@pytest.fixture(scope="module")
def shell(snapshots):
    state = snapshots.make("shell", {"bootstrap": SHELL + STATE}, **CUSTOM)
    assert state["state"] == "ready", state
    return "shell"


def test_shell_and_curl_are_restored_with_what_init_made(snapshots, shell):
    answers = [snapshots.restore(shell, b'{"n": %d}' % n) for n in range(4)]
    assert [how for how, _ in answers] == ["restored"] * 4
    values = [value for _, value in answers]
    assert [v["event"] for v in values] == [{"n": n} for n in range(4)]
    assert {(v["calls"], v["pid"], v["type"]) for v in values} == {(1, 2, "snap-start")}
    for random in zip(*(v["random"] for v in values)):
        assert len(set(random)) == 4
    assert len({v["made"] for v in values}) == 1 and values[0]["made"] < time.time_ns() - 10**6


def test_a_restored_shell_goes_on_to_be_warm(snapshots, shell):
    assert snapshots.restore(shell)[0] == "restored"
    calls = []
    for _ in range(3):
        snapshots.instance.wait_idle()
        calls.append(invoke_function(snapshots.client, shell).value["calls"])
    assert calls == [2, 3, 4]


def test_log_lines_of_all_processes_arrive_and_the_report_has_the_restore(snapshots, shell):
    result = invoke_function(snapshots.client, shell)  # whatever is warm
    snapshots.instance.wait_idle()  # its REPORT comes when it asks for the next
    before = len(snapshots.instance.function_log(shell))
    assert snapshots.restore(shell)[0] == "restored"
    snapshots.instance.wait_idle()
    log = snapshots.instance.function_log(shell)[before:]
    assert result.value and "RESTORE_START Runtime Version: provided.al2023\n" in log
    assert "\ncall 1 of 2\nfrom a child\nEND RequestId" in log
    assert re.search(r"^REPORT .*\tRestore Duration: [\d.]+ ms\tBilled Restore Duration: \d+ ms", log, re.M)
    assert "Init Duration" not in log


def test_many_are_restored_at_once(snapshots, shell):
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: snapshots.restore(shell, b"%d" % n), range(12)))
    assert [value["event"] for _, value in answers] == list(range(12))
    assert {how for how, _ in answers} == {"restored"} and {value["calls"] for _, value in answers} == {1}


def test_static_program(snapshots, static_runtime):
    assert snapshots.make("static", {"bootstrap": static_runtime}, **CUSTOM)["state"] == "ready"
    for n in range(3):
        how, value = snapshots.restore("static", b'{"n": %d}' % n)
        assert how == "restored" and value["echo"] == {"n": n} and value["calls"] == 1
        assert time.time() < int(value["deadline_ms"]) / 1000 < time.time() + 3.1
    assert invoke_function(snapshots.client, "static").value["calls"] == 2


def test_hello_shell_example(snapshots):
    bootstrap = (ROOT / "tools/examples/hello-shell/bootstrap").read_bytes()
    assert snapshots.make("hello-shell", {"bootstrap": bootstrap}, **CUSTOM)["state"] == "ready"
    how, value = snapshots.restore("hello-shell", b'{"name": "Ada"}')
    assert how == "restored" and value["hello"] == "Ada" and value["calls"] == 1


def test_keep_alive_connection_and_threads(snapshots, tmp_path_factory):
    """One connection for all, as HTTP libraries do it, and another to the AWS endpoint that was left open by init."""
    program = compile_static("keep_alive.c", tmp_path_factory).read_bytes()
    assert snapshots.make("keep-alive", {"bootstrap": program}, **CUSTOM)["state"] == "ready"
    for n in range(3):
        how, value = snapshots.restore("keep-alive", b"%d" % n)
        assert (how, value["event"], value["calls"]) == ("restored", n, 1) and value["ticks"] > 0
        assert value["aws"] == "reset"
    snapshots.instance.wait_idle()
    assert invoke_function(snapshots.client, "keep-alive", 7).value["calls"] == 2


def test_restore_next_runs_hooks_after_the_restore(snapshots):
    code = {"bootstrap": SHELL + HOOK}
    assert snapshots.make("hook", code, **CUSTOM)["state"] == "ready"
    answers = [snapshots.restore("hook") for _ in range(4)]
    assert {how for how, _ in answers} == {"restored"} and {value["calls"] for _, value in answers} == {1}
    hooked = [value["hooked"] for _, value in answers]
    assert len(set(hooked)) == 4 and all(h.startswith("200 0 ") for h in hooked), hooked


def test_restore_next_is_offered_with_snapshots_alone(snapshots):
    code = {"bootstrap": SHELL + HOOK}
    snapshots.make("hook-cold", code, **CUSTOM)
    log = snapshots.instance.function_log("hook-cold")
    assert "Init Duration" in log
    cold = snapshots.start("cold", "hook-cold")
    assert cold == ("cold", {"calls": 1, "hooked": "404 cold"})


def test_restore_error_fails_the_start(snapshots):
    code = {"bootstrap": SHELL + HOOK}
    assert snapshots.make("hook-fails", code, **CUSTOM, Environment={"Variables": {"FAIL": "1"}})["state"] == "ready"
    how, value = snapshots.restore("hook-fails")
    assert how == "restored"
    assert value == {"errorType": "My.RestoreError", "errorMessage": "no luck", "stackTrace": []}
    assert "Status: error\tError Type: My.RestoreError" in snapshots.instance.function_log("hook-fails")


def test_restore_requests_at_the_wrong_time_are_refused(snapshots):
    code = SHELL + """
status() { curl -sS -o /dev/null -w '%{http_code}' "$@"; }
while next; do
    answer "[$(status "$api/restore/next"), $(status -d x "$api/restore/error"), $(status "$api/restore/error")]"
done
"""
    assert snapshots.make("wrong-time", {"bootstrap": code}, **CUSTOM)["state"] == "ready"
    assert snapshots.restore("wrong-time") == ("restored", [403, 403, 405])
    assert snapshots.start("cold", "wrong-time") == ("cold", [404, 404, 404])


UNUSABLE = {
    "orphan": ('(sleep 1000 & )\n', r"a process \(sleep\) that is no child of the runtime"),
    "closed-log": ("exec >/dev/null\n", "descriptor 1 is now /dev/null"),
    "big-tmp": ("head -c 70000000 /dev/zero >/tmp/big\n", "more than 64 MB in /tmp"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_snapshotted_says_why_and_starts_cold(snapshots, name):
    init, why = UNUSABLE[name]
    state = snapshots.make(name, {"bootstrap": SHELL + init + STATE}, **CUSTOM)
    assert state["state"] == "unusable" and re.search(why, state["reason"]), state
    how, value = snapshots.restore(name)
    assert how == "cold" and value["calls"] == 1 and value["type"] == "on-demand"


TMP = '''
mkdir -p /tmp/d/e /tmp/closed; echo content >/tmp/d/e/file; ln -s d/e/file /tmp/link; mkfifo -m 640 /tmp/fifo
head -c 100000 /dev/urandom >/tmp/big; touch -d @1000000000.25 /tmp/d/e/file; chmod 604 /tmp/d/e/file
echo x >/tmp/closed/x; chmod 500 /tmp/closed; exec 9<>/tmp/open; echo -n before >&9
list() { (cd /tmp; find . -name 'tmp.*' -prune -o -printf '%p %M %U %s %l\\n' | sort
          stat -c '%n %y' big open d/e/file closed/x; sha256sum big d/e/file closed/x) | sha256sum; }
at_init=$(list)
while next; do
    same=$([ "$(list)" = "$at_init" ] && echo true || echo false)
    echo -n after >&9
    answer "{\\"same\\": $same, \\"text\\": \\"$(cat /tmp/open) $(cat /tmp/link)\\"}"
done
'''


def test_tmp_is_as_init_left_it(snapshots):
    assert snapshots.make("tmp", {"bootstrap": SHELL + TMP}, **CUSTOM)["state"] == "ready"
    assert [snapshots.restore("tmp") for _ in range(2)] == [("restored", {"same": True, "text": "beforeafter content"})] * 2


def test_damaged_connection_means_a_cold_start_and_a_fresh_snapshot(snapshots):
    assert snapshots.make("damaged", {"bootstrap": SHELL + STATE}, **CUSTOM)["state"] == "ready"
    (snapshots.folder("damaged") / "connection").write_bytes(b"nonsense")
    assert snapshots.restore("damaged")[1]["calls"] == 1
    wait_until(lambda: snapshots.state("damaged")["failures"] >= 1, what="the failure to be counted")
    wait_until(lambda: snapshots.restore("damaged")[0] == "restored", what="a fresh snapshot")
