"""Whether a function has a snapshot: SnapStart, `fnrun snapshot`, the room that all have on the disk."""

import pytest

from conftest import create_function, invoke_function
from instance import wait_until
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
