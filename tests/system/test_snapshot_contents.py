"""What is in a snapshot, and what is not: threads and memory that each restore would pay for."""

import pytest

from snapshots import Snapshots


@pytest.fixture(scope="module")
def snapshots():
    made = Snapshots()
    yield made
    made.instance.close()


THREADS = "import { readdirSync } from 'fs'\nexport const handler = async () => readdirSync('/proc/self/task').length"
NODE = {
    "common": {"index.js": "exports.handler = async () => require('fs').readdirSync('/proc/self/task').length"},
    "es": {"index.mjs": THREADS},
    "awaiting": {"index.mjs": f"await null\n{THREADS}"},
}


@pytest.mark.parametrize("name", NODE)
def test_node_has_no_threads_and_pages_without_use(snapshots, name):
    """The main thread, one worker of V8, its timer, Node's for signals: none of libuv's four. 16 MB and more without care."""
    state = snapshots.make(name, NODE[name], runtime="nodejs20.x", handler="index.handler")
    assert state["state"] == "ready" and state["bytes"] < 11.5e6, state
    assert snapshots.restore(name) == ("restored", 4)


REHEARSED = """
const { registerAfterRestore } = require('snapshot-restore')
const fs = require('fs')
const before = JSON.stringify([fs.readdirSync('/proc/self/fd'), process.env])
registerAfterRestore(() => console.log('restored'))
exports.handler = async (event, context) => {
  delete process.env._X_AMZN_TRACE_ID
  process.env.AWS_LAMBDA_LOG_STREAM_NAME = JSON.parse(before)[1].AWS_LAMBDA_LOG_STREAM_NAME
  console.log('called')
  return JSON.stringify([fs.readdirSync('/proc/self/fd'), process.env]) === before
}
"""


def test_node_has_walked_the_path_of_an_invocation_and_left_no_trace_of_it(snapshots):
    state = snapshots.make("rehearsed", {"index.js": REHEARSED}, runtime="nodejs20.x", handler="index.handler")
    assert state["state"] == "ready", state
    assert snapshots.restore("rehearsed") == ("restored", True)
    lines = [line.split("\t") for line in snapshots.instance.function_log("rehearsed").splitlines() if "\tINFO\t" in line]
    # The cold start, then the restored one: before its first invocation there is no request id.
    assert [line[3] for line in lines] == ["called", "restored", "called"]
    assert [line[1] == "undefined" for line in lines] == [False, True, False]


FILLER = """
filler = [bytes(1000) for _ in range(50000)]
kept = filler[::50]
del filler
def handler(event, context): return len(kept)
"""


def test_python_gives_the_holes_in_its_heap_back(snapshots):
    """50 MB were in use during init, of which 1 MB is left, here and there."""
    state = snapshots.make("filler", {"app.py": FILLER})
    assert state["state"] == "ready" and state["bytes"] < 12e6, state
    assert snapshots.restore("filler") == ("restored", 1000)
