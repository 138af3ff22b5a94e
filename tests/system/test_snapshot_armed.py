"""How many sandboxes are armed, and how many are restored at one time."""

import json
import os
import socket
import threading
import time

import pytest

from instance import wait_until
from snapshots import Snapshots

HELLO = {"app.py": "import time\ndef handler(event, context): return time.monotonic()\n"}
BOUND = 4


@pytest.fixture(scope="module")
def snapshots():
    made = Snapshots(f"--max-armed={BOUND}")
    yield made
    made.instance.close()


class Watch(threading.Thread):
    """Looks again and again at what the manager counts."""

    def __init__(self, snapshots):
        super().__init__()
        self.snapshots, self.done, self.armed, self.restoring, self.looks = snapshots, False, 0, 0, 0

    def run(self):
        while not self.done:
            status = self.snapshots.instance.status()
            listed = sum(s["armed"] for s in self.snapshots.get("/_fnrun/snapshots"))
            self.armed = max(self.armed, status["armed"], listed)
            self.restoring = max(self.restoring, status["restoring"])
            self.looks += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.join()


@pytest.fixture(autouse=True)
def alone(snapshots):
    """What other tests have armed is no matter here."""
    yield
    for function in snapshots.client.list_functions()["Functions"]:
        snapshots.client.delete_function(FunctionName=function["FunctionName"])


def bench(snapshots, name, *options):
    run = snapshots.instance.cli("bench", name, "--mode", "restore", "--json", *options)
    assert run.returncode == 0, run.stdout[:2000] + run.stderr
    return json.loads(run.stdout)


def armed(snapshots, name):
    return snapshots.state(name)["armed"]


def test_sixteen_at_a_time_are_all_served_within_the_bounds(snapshots):
    assert snapshots.make("rush", HELLO)["state"] == "ready"
    with Watch(snapshots) as watch:
        result = bench(snapshots, "rush", "--concurrency", "16", "--count", "100")
    assert result["errors"] == 0 and len(result["samples_ns"]) == 100
    assert watch.looks > 5 and 1 <= watch.armed <= BOUND and 1 <= watch.restoring <= len(os.sched_getaffinity(0)) + 1
    status = snapshots.instance.status()
    assert status["restore_failures"] == 0 and status["restoring"] == 0 and status["waiting"] == 0


def test_armed_ones_follow_demand(snapshots):
    assert snapshots.make("demand", HELLO)["state"] == "ready"
    wait_until(lambda: armed(snapshots, "demand") == 1, what="the first")
    for _ in range(3):
        snapshots.restore("demand")
        time.sleep(0.2)
    wait_until(lambda: armed(snapshots, "demand") == 1, what="the next one")
    assert armed(snapshots, "demand") == 1
    bench(snapshots, "demand", "--concurrency", "16", "--count", "48")
    wait_until(lambda: armed(snapshots, "demand") == BOUND, what="as many as were asked for at once")
    wait_until(lambda: armed(snapshots, "demand") < BOUND, what="demand to be forgotten")
    wait_until(lambda: armed(snapshots, "demand") == 1, 20, what="all but one to go")


def test_each_function_gets_one_before_another_gets_its_second(snapshots):
    names = [f"many-{i}" for i in range(BOUND)]
    assert snapshots.make(names[0], HELLO)["state"] == "ready"
    bench(snapshots, names[0], "--concurrency", "16", "--count", "48")
    wait_until(lambda: armed(snapshots, names[0]) == BOUND, what="the first to have all")
    for name in names[1:]:
        assert snapshots.make(name, HELLO)["state"] == "ready"
        assert snapshots.restore(name)[0] == "restored"
    wait_until(lambda: [armed(snapshots, name) for name in names] == [1] * BOUND, what="one for each")


def test_those_who_wait_are_served_in_their_order(snapshots):
    """Of sixteen that come one after the other; as many as there are processors are under way at one time."""
    assert snapshots.make("order", HELLO)["state"] == "ready"
    request = b"POST /2015-03-31/functions/order/invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" \
              b"X-Fnrun-Start: restored\r\nContent-Length: 2\r\n\r\n{}"
    callers = []
    for _ in range(16):
        callers.append(socket.create_connection(("127.0.0.1", snapshots.instance.port)))
        callers[-1].sendall(request)
        time.sleep(0.002)
    answers = [b"".join(iter(lambda: caller.recv(65536), b"")) for caller in callers]
    for caller in callers:
        caller.close()
    assert all(b"X-Fnrun-Start: restored" in answer for answer in answers)
    begun = [float(answer.split(b"\r\n\r\n")[1]) for answer in answers]
    late = [abs(place - i) for i, place in enumerate(sorted(range(16), key=begun.__getitem__))]
    assert max(late) <= 2 * len(os.sched_getaffinity(0)) + 1, begun
