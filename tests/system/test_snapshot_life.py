"""Whether a function has a snapshot: SnapStart, `fnrun snapshot`, the room that all have on the disk."""

import base64
import calendar
import hashlib
import json
import os
import sqlite3
import time
import urllib.request

import pytest

from conftest import create_function, invoke_function
from instance import BUILD, wait_until
from snapshots import Snapshots

HELLO = {"app.py": "calls = 0\ndef handler(event, context):\n    global calls\n    calls += 1\n    return calls\n"}


@pytest.fixture(scope="module")
def snapshots():
    made = Snapshots()
    yield made
    made.instance.close()


# --- SnapStart ---

def snap_start(answer):
    return answer["SnapStart"]["ApplyOn"], answer["SnapStart"]["OptimizationStatus"]


def test_snapshots_are_on_for_latest_whatever_published_versions_have(snapshots):
    for name, kw in {"unsaid": {}, "published": {"SnapStart": {"ApplyOn": "PublishedVersions"}}}.items():
        assert snapshots.make(name, HELLO, **kw)["state"] == "ready"
        assert snapshots.restore(name) == ("restored", 1)
        expected = (kw.get("SnapStart", {}).get("ApplyOn", "None"), "Off")
        assert snap_start(snapshots.client.get_function_configuration(FunctionName=name)) == expected


def test_snap_start_none_in_so_many_words_turns_them_off_and_published_versions_on_again(snapshots):
    create_function(snapshots.client, "refuses", HELLO, SnapStart={"ApplyOn": "None"})
    off = snapshots.state("refuses")
    assert off["state"] == "off" and off["reason"] == "the function's SnapStart is off: ApplyOn is None"
    assert invoke_function(snapshots.client, "refuses").value == 1
    assert snapshots.restore("refuses") == ("cold", 1)
    assert f"refuses\toff\t0\t0.0 MB\t{off['reason']}" in snapshots.instance.cli("snapshot", "list").stdout
    answer = snapshots.client.update_function_configuration(FunctionName="refuses", SnapStart={"ApplyOn": "PublishedVersions"})
    assert snap_start(answer) == ("PublishedVersions", "Off")
    invoke_function(snapshots.client, "refuses").raw
    assert wait_until(lambda: snapshots.settled("refuses"))["state"] == "ready"
    folder = snapshots.folder("refuses")
    snapshots.client.update_function_configuration(FunctionName="refuses", SnapStart={"ApplyOn": "None"})
    wait_until(lambda: not folder.exists(), what="the snapshot to go")
    assert snapshots.restore("refuses") == ("cold", 1)


def test_snap_start_survives_other_updates_and_a_restart(snapshots):
    create_function(snapshots.client, "lasting", HELLO, SnapStart={"ApplyOn": "None"})
    snapshots.client.update_function_configuration(FunctionName="lasting", Timeout=4)
    snapshots.instance.restart()
    assert snapshots.state("lasting")["state"] == "off"


def test_snap_start_is_checked_as_by_aws(snapshots):
    with pytest.raises(snapshots.client.exceptions.ClientError) as caught:
        snapshots.client.update_function_configuration(FunctionName="unsaid", SnapStart={"ApplyOn": "Sometimes"})
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert "Value 'Sometimes' at 'snapStart.applyOn' failed to satisfy constraint: Member must satisfy enum value set: " \
           "[PublishedVersions, None]" in str(caught.value)


# --- fnrun snapshot ---

def folders(made):
    return {path.name for path in (made.instance.state / "snapshots").iterdir()}


def snapshot(snapshots, *args):
    run = snapshots.instance.cli("snapshot", *args, "--json")
    return json.loads(run.stdout) if run.returncode == 0 else run.returncode


def test_inspect_shows_all_there_is(snapshots):
    assert snapshots.make("shown", HELLO, Environment={"Variables": {"AB": "1"}})["state"] == "ready"
    restored = snapshots.restore("shown")[0]
    shown = snapshot(snapshots, "inspect", "shown")
    assert restored == "restored" and shown["restores"] == 1 and shown["state"] == "ready"
    folder = snapshots.folder("shown")
    files = {path.name: path for path in folder.iterdir()}
    assert {f["name"]: (f["bytes"], f["sha256"]) for f in shown["files"]} == \
        {name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in files.items()}
    assert shown["bytes"] == sum(path.stat().st_size for path in files.values())
    assert abs(calendar.timegm(time.strptime(shown["made"], "%Y-%m-%dT%H:%M:%SZ")) - folder.stat().st_mtime) < 5
    bound = shown["bound_to"]
    config = snapshots.client.get_function_configuration(FunctionName="shown")
    assert base64.b64encode(bytes.fromhex(bound["code"])).decode() == config["CodeSha256"]
    assert bound["kernel"] == f"{os.uname().release} {os.uname().version}" and bound["environment"] == {"AB": "1"}
    assert {"image", "toolbox", "boot", "processor", "fnrun", "bootstrap", "handler", "memory_mb"} <= set(bound)
    assert shown["failures_by_cause"] == {"damaged": 0, "lost": 0, "refused": 0, "exited": 0, "hook": 0, "timeout": 0}
    text = snapshots.instance.cli("snapshot", "inspect", "shown").stdout
    assert f"code: {bound['code']}\n" in text and "core-2.img " in text


def test_inspect_shows_failures_and_the_warm_up_event(snapshots):
    assert snapshots.make("failing", {"app.py": "import snapshot_restore_py as s\ns.register_after_restore(lambda: 1 / 0)\n"
                                                "def handler(event, context): return 1"})["state"] == "ready"
    snapshots.restore("failing")
    request = urllib.request.Request(snapshots.instance.endpoint + "/_fnrun/warm-up/failing", b'{"a": [1, "x"]}', method="PUT")
    assert snapshot(snapshots, "inspect", "failing")["failures_by_cause"]["hook"] == 1
    urllib.request.urlopen(request).close()
    shown = snapshot(snapshots, "inspect", "failing")
    assert shown["state"] == "none" and shown["warm_up"] == {"a": [1, "x"]} and "files" not in shown


def test_rm_throws_one_away_and_a_later_start_makes_another(snapshots):
    assert snapshots.make("removed", HELLO)["state"] == "ready"
    folder, made = snapshots.folder("removed"), snapshots.folder("removed").stat().st_ctime_ns
    assert snapshot(snapshots, "rm", "removed") == {"removed": "removed"}
    wait_until(lambda: not folder.exists(), what="the snapshot to go")
    state = snapshots.state("removed")
    assert state["state"] == "none" and "removed" in state["reason"]
    wait_until(lambda: snapshots.state("removed")["armed"] == 0, what="the armed sandbox to end")
    invoke_function(snapshots.client, "removed").raw  # a warm one makes none
    assert snapshots.state("removed")["state"] == "none"
    assert snapshots.restore("removed") == ("cold", 1)
    wait_until(lambda: snapshots.state("removed")["state"] == "ready", what="another snapshot")
    assert snapshots.folder("removed") == folder and folder.stat().st_ctime_ns != made
    assert snapshots.restore("removed") == ("restored", 1)


def test_rm_while_it_is_made_leaves_nothing(snapshots):
    for i in range(6):
        name = f"early-{i}"
        create_function(snapshots.client, name, HELLO, MemorySize=512)
        invoke_function(snapshots.client, name).raw
        time.sleep(i * 0.01)
        snapshot(snapshots, "rm", name)
        assert snapshots.state(name)["state"] == "none"
    known = {s["id"] for s in snapshots.get("/_fnrun/snapshots") if "id" in s}
    wait_until(lambda: folders(snapshots) == known, what="all but those of others to go")


def test_rm_lets_an_unusable_one_be_tried_again(snapshots):
    code = "import os, snapshot_restore_py as s\ns.register_before_snapshot(lambda: 1 / 0)\n" \
           "def handler(event, context): return 1"
    assert snapshots.make("unusable", {"app.py": code})["state"] == "unusable"
    assert snapshot(snapshots, "rm", "unusable") == {"removed": "unusable"}
    assert snapshots.state("unusable")["state"] == "none"
    assert snapshots.restore("unusable")[0] == "cold"
    wait_until(lambda: snapshots.state("unusable")["state"] == "unusable", what="another try")


def test_snapshot_command_line(snapshots):
    assert snapshot(snapshots, "rm", "nobody") == 5 and snapshot(snapshots, "inspect", "nobody") == 5
    assert snapshot(snapshots, "rm") == 2 and snapshot(snapshots, "list", "shown") == 2 and snapshot(snapshots, "x") == 2
    assert "shown" in [s["function"] for s in snapshot(snapshots, "list")]


def test_what_it_is_bound_to_is_looked_at_before_each_use(snapshots):
    """As if an update had replaced the bootstrap while the manager runs."""
    bootstrap = BUILD / "runtimes/python/bootstrap.py"
    assert snapshots.make("bound", HELLO)["state"] == "ready"
    first, times = snapshots.state("bound")["id"], bootstrap.stat()
    try:
        os.utime(bootstrap, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
        seen = [snapshots.restore("bound") for _ in range(3)]  # one was armed before
        assert ("cold", 1) in seen
        wait_until(lambda: snapshots.state("bound")["state"] == "ready", what="another snapshot")
        assert snapshots.state("bound")["id"] != first
    finally:
        os.utime(bootstrap, ns=(times.st_atime_ns, times.st_mtime_ns))


# --- the disk ---

def test_those_unused_for_longest_give_way():
    made = Snapshots("--snapshot-disk-mb=8")
    try:
        large = made.make("large", {"app.py": "import random\ndata = random.randbytes(10 << 20)\n" + HELLO["app.py"]})
        assert large["state"] == "unusable" and "--snapshot-disk-mb" in large["reason"]
        assert made.restore("large") == ("cold", 1)
        wait_until(lambda: not folders(made), what="the files to go")
        for name in ("a", "b"):
            assert made.make(name, HELLO)["state"] == "ready"
        assert made.restore("a") == ("restored", 1)
        assert made.make("c", HELLO)["state"] == "ready"
        gone = made.state("b")
        assert gone["state"] == "none" and "gave way" in gone["reason"] and made.state("a")["state"] == "ready"
        wait_until(lambda: folders(made) == {made.state("a")["id"], made.state("c")["id"]}, what="the files to go")
        assert made.restore("b") == ("cold", 1)
        wait_until(lambda: made.state("b")["state"] == "ready", what="it to be made anew")
        assert made.restore("b") == ("restored", 1)
        wait_until(lambda: made.state("b")["armed"] == 1, what="its use to be noted")
        made.instance.stop()
        made.instance.options = [o.replace("mb=8", "mb=4") for o in made.instance.options]
        made.instance.start()
        wait_until(lambda: folders(made) == {made.state("b")["id"]}, what="the others to go")
        wait_until(lambda: made.restore("b") == ("restored", 1), what="a start from what is left")
    finally:
        made.instance.close()


def test_those_of_nobody_go_at_the_start(snapshots):
    for name in ("stays", "goes"):
        assert snapshots.make(name, HELLO)["state"] == "ready"
    stays, goes = snapshots.folder("stays"), snapshots.folder("goes")
    snapshots.instance.stop()
    data = snapshots.instance.state / "data"
    # A power failure between the two, another function of that name, and a dump that nobody knows.
    with sqlite3.connect(data / "fnrun.db") as db:
        db.execute("DELETE FROM functions WHERE name = 'goes'")
    unknown = goes.with_name("0" * 32)
    unknown.mkdir()
    snapshots.instance.start()
    wait_until(lambda: not goes.exists() and not unknown.exists(), what="them to go")
    assert stays.exists() and not (data / "snapshots" / goes.name).exists()
    wait_until(lambda: snapshots.restore("stays") == ("restored", 1), what="a start from the one that stays")
