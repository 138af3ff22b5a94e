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
