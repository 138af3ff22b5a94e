"""kill -9 at random moments: what was acknowledged is there afterwards, and nothing is left behind."""

import json
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from conftest import create_function, invoke_function, make_client, make_zip, ROLE
from instance import Instance, UID_BLOCK, processes, wait_until

ROUNDS = 4
WRITE = "import time\ndef handler(event, c):\n    time.sleep(event.get('sleep', 0))\n    print('ran', event['n'])\n    return event\n"


class Load:
    """Clients that create functions, put objects, send events and invoke, and remember what was acknowledged."""

    def __init__(self, instance):
        self.instance = instance
        self.functions, self.objects, self.events = set(), {}, set()
        self.deleted = set()
        self.counter = 0
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.threads = []

    def number(self):
        with self.lock:
            self.counter += 1
            return self.counter

    def make_function(self, lam, s3):
        name = f"crash-{self.number()}"
        lam.create_function(FunctionName=name, Runtime="python3.13", Role=ROLE, Handler="app.handler",
                            Code={"ZipFile": make_zip({"app.py": f"def handler(e, c): return '{name}'\n"})})
        self.functions.add(name)

    def delete_function(self, lam, s3):
        name = next(iter(self.functions), None)
        if name:
            self.functions.discard(name)  # from here on it may or may not be there
            lam.delete_function(FunctionName=name)
            self.deleted.add(name)

    def put_object(self, lam, s3):
        key = f"key/{self.number()}"
        body = random.randbytes(random.choice((0, 10, 100_000, 1_000_000)))
        s3.put_object(Bucket="crash", Key=key, Body=body)
        self.objects[key] = body

    def send_event(self, lam, s3):
        n = self.number()
        lam.invoke(FunctionName="worker", InvocationType="Event", Payload=json.dumps({"n": n, "sleep": 0.05}).encode())
        self.events.add(n)

    def invoke(self, lam, s3):
        invoke_function(lam, "worker", {"n": self.number(), "sleep": random.random() / 20})

    def run(self, actions):
        lam, s3 = make_client(self.instance, "lambda"), make_client(self.instance, "s3")
        while not self.ending.is_set():
            try:
                random.choice(actions)(lam, s3)
            except (BotoCoreError, ClientError):
                time.sleep(0.02)  # not acknowledged, so nothing was promised

    def start(self):
        self.ending.clear()
        mixes = ([self.make_function, self.make_function, self.delete_function], [self.put_object],
                 [self.send_event], [self.invoke])
        self.threads = [threading.Thread(target=self.run, args=(mix,)) for mix in mixes]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def check(self):
        """All that was ever acknowledged is there."""
        assert self.functions and self.deleted and self.objects and self.events, "the load did nothing"
        lam, s3 = make_client(self.instance, "lambda"), make_client(self.instance, "s3")
        there = {f["FunctionName"] for page in lam.get_paginator("list_functions").paginate() for f in page["Functions"]}
        assert self.functions <= there
        assert not self.deleted & there
        for name in random.sample(sorted(self.functions), min(3, len(self.functions))):
            assert invoke_function(lam, name).value == name
        for key, body in self.objects.items():
            assert s3.get_object(Bucket="crash", Key=key)["Body"].read() == body, key
        wait_until(lambda: self.events <= self.events_that_ran(), 20, "all acknowledged events to run")

    def events_that_ran(self):
        lines = self.instance.function_log("worker").splitlines()
        return {int(line.split()[1]) for line in lines if line.startswith("ran ") and line.count(" ") == 1}


@pytest.fixture
def load(own_fnrun):
    load = Load(own_fnrun)
    create_function(make_client(own_fnrun, "lambda"), "worker", {"app.py": WRITE}, Timeout=10)
    make_client(own_fnrun, "s3").create_bucket(Bucket="crash")
    yield load
    load.stop()


def wait_for_api(instance):
    def answers():
        try:
            return instance.status()
        except OSError:
            return None
    return wait_until(answers, what="the API to answer")


def test_fnrund_is_killed(own_fnrun, load):
    """The warden kills fnrund's sandboxes and starts it again, on the same socket."""
    before = own_fnrun.pids()
    for _ in range(ROUNDS):
        load.start()
        time.sleep(random.uniform(0.1, 0.8))
        pids, old = own_fnrun.pids(), own_fnrun.sandboxed()
        wait_until(own_fnrun.sandboxed, what="a sandbox")
        os.kill(pids["fnrund"], signal.SIGKILL)
        wait_for_api(own_fnrun)
        load.stop()
        wait_until(lambda: not set(old) & set(own_fnrun.sandboxed()), what="the old sandboxes to be gone")
        assert own_fnrun.pids()["warden"] == before["warden"]
        assert own_fnrun.pids()["fnrund"] != pids["fnrund"]
        # The warden gives up on an fnrund that dies 5 times within 10 s, and so it should.
        time.sleep(2)
    load.check()


def test_warden_is_killed(own_fnrun, load):
    for _ in range(ROUNDS):
        load.start()
        time.sleep(random.uniform(0.1, 0.8))
        wait_until(own_fnrun.sandboxed, what="a sandbox")
        own_fnrun.stop(signal.SIGKILL)
        load.stop()
        wait_until(lambda: not [p for p in processes().values() if own_fnrun.owns(p)],
                   what="fnrund and all sandboxes to die with the warden")
        own_fnrun.start()
    load.check()


def test_both_are_killed_at_once(own_fnrun, load):
    load.start()
    time.sleep(0.5)
    os.kill(own_fnrun.pids()["fnrund"], signal.SIGKILL)
    own_fnrun.stop(signal.SIGKILL)
    load.stop()
    wait_until(lambda: not own_fnrun.sandboxed(), what="all sandboxes to die")
    own_fnrun.start()
    load.check()


def test_kill_in_the_middle_of_uploads(own_fnrun):
    """No half of an object, and no half of a function, is ever seen."""
    s3, lam = make_client(own_fnrun, "s3"), make_client(own_fnrun, "lambda")
    s3.create_bucket(Bucket="halves")
    old, new = b"o" * 8_000_000, b"n" * 8_000_000
    s3.put_object(Bucket="halves", Key="k", Body=old)
    for wait in (0.01, 0.03, 0.06):
        def upload():
            try:
                s3.put_object(Bucket="halves", Key="k", Body=new)
            except (BotoCoreError, ClientError):
                pass
        thread = threading.Thread(target=upload)
        thread.start()
        time.sleep(wait)
        own_fnrun.stop(signal.SIGKILL)
        thread.join()
        own_fnrun.start()
        assert s3.get_object(Bucket="halves", Key="k")["Body"].read() in (old, new)
        listed = s3.list_objects_v2(Bucket="halves")["Contents"]
        assert [(o["Key"], o["Size"]) for o in listed] == [("k", 8_000_000)]
    assert lam.list_functions()["Functions"] == []


def test_events_wait_for_the_restart(own_fnrun):
    """Acknowledged and killed at once: each event runs after the restart."""
    lam = make_client(own_fnrun, "lambda")
    create_function(lam, "worker", {"app.py": WRITE}, Timeout=10)
    for n in range(25):
        assert lam.invoke(FunctionName="worker", InvocationType="Event",
                          Payload=json.dumps({"n": n, "sleep": 0.3}).encode())["StatusCode"] == 202
    own_fnrun.stop(signal.SIGKILL)
    own_fnrun.start()
    ran = Load(own_fnrun).events_that_ran
    wait_until(lambda: ran() >= set(range(25)), 30, "25 events to run")


def test_second_warden_on_the_same_state_is_refused(own_fnrun):
    run = own_fnrun.cli("up", "--state", own_fnrun.state, "--listen", "127.0.0.1:0", timeout=20)
    assert run.returncode != 0
    assert "ready" not in run.stdout
    assert own_fnrun.status()["functions"] == 0


def read_bytes(path):
    """b"" for a process that is gone."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_prepares_criu_ends_with_the_warden(how):
    """At its start the warden has criu look at the kernel: some 60 ms, in which criu forks and traces processes."""
    instance = Instance()
    def is_probing():
        pid = instance.proc.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return any(b"criu\0check" in read_bytes(f"/proc/{child}/cmdline") for child in children)

    try:
        for n in range(12):
            instance.launch()
            deadline = time.monotonic() + 10
            while not is_probing():
                assert time.monotonic() < deadline, "criu is never at work"
            time.sleep(0.003 * n)
            instance.stop(how)
            wait_until(lambda: not instance.in_its_mounts(), what="criu to end with the warden")
    finally:
        instance.close()


def test_uids_do_not_change_with_a_restart(own_fnrun):
    """A function keeps its own uid, and another function never gets the uid of a deleted one."""
    lam = make_client(own_fnrun, "lambda")
    code = {"app.py": "import os\ndef handler(e, c): return os.getuid()\n"}
    uids = [invoke_function(lam, create_function(lam, name, code)).value for name in ("one", "two")]
    assert len(set(uids)) == 2
    assert all(0 < uid - own_fnrun.uid_base < UID_BLOCK for uid in uids)
    lam.delete_function(FunctionName="two")
    own_fnrun.restart(signal.SIGKILL)
    assert invoke_function(lam, "one").value == uids[0]
    assert invoke_function(lam, create_function(lam, "three", code)).value not in uids


def test_clean_stop_with_work_under_way():
    """SIGTERM while functions run: exit status 0, at once, and nothing is left (close() looks)."""
    instance = Instance()
    try:
        lam = make_client(instance.start(), "lambda")
        create_function(lam, "busy", {"app.py": "import time\ndef handler(e, c): time.sleep(60)\n"}, Timeout=60)
        for _ in range(3):
            lam.invoke(FunctionName="busy", InvocationType="Event")
        wait_until(lambda: instance.status()["busy"] == 3, what="3 busy sandboxes")
        started = time.monotonic()
        assert instance.stop() == 0
        assert time.monotonic() - started < 3
    finally:
        instance.close()
