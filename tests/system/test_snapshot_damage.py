"""Snapshots whose files are not what was dumped: never restored, counted, removed, made anew; the invocation succeeds."""

import os
import shutil

import pytest

from instance import wait_until
from snapshots import Snapshots

HELLO = {"app.py": "calls = 0\ndef handler(event, context):\n    global calls\n    calls += 1\n    return calls\n"}


@pytest.fixture(scope="module")
def snapshots():
    made = Snapshots()
    yield made
    made.instance.close()


def pages(folder):
    return next(folder.glob("pages-*.img"))


def truncate(folder):
    os.truncate(pages(folder), pages(folder).stat().st_size - 4096)


def flip_a_byte(folder):
    """In a page, with size and times put back: nothing but its content has changed."""
    path = pages(folder)
    before = path.stat()
    with open(path, "r+b") as file:
        file.seek(before.st_size // 2)
        byte = file.read(1)[0]
        file.seek(before.st_size // 2)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)


def remove_a_file(folder):
    (folder / "core-2.img").unlink()


def replace_a_file(folder):
    other = folder.with_name("other")
    shutil.copy2(folder / "core-2.img", other)
    other.replace(folder / "core-2.img")


def remove_the_folder(folder):
    shutil.rmtree(folder)


DAMAGES = [truncate, flip_a_byte, remove_a_file, replace_a_file, remove_the_folder]
# A file that was replaced by the same content is as good as it was; only who has seen the first one notices.
NOTICED_BY_CONTENT = [damage for damage in DAMAGES if damage != replace_a_file]


def damaged(snapshots, name):
    state, status = snapshots.state(name), snapshots.instance.status()
    return state["failures"], status["restore_failures"], status["restore_failures_by_cause"]["damaged"]


def check(snapshots, name, folder, before):
    assert snapshots.restore(name) == ("cold", 1)
    after = damaged(snapshots, name)
    assert [now - then for now, then in zip(after, before)] == [1, 1, 1]
    wait_until(lambda: snapshots.state(name)["state"] == "ready", what="a fresh snapshot")
    assert snapshots.folder(name) == folder
    wait_until(lambda: snapshots.restore(name) == ("restored", 1), what="a start from the fresh one")
    assert damaged(snapshots, name) == after


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_noticed_while_a_sandbox_is_armed(snapshots, damage):
    name = f"armed-{damage.__name__}"
    assert snapshots.make(name, HELLO)["state"] == "ready"
    wait_until(lambda: snapshots.state(name)["armed"] == 1, what="a sandbox to be armed")
    before = damaged(snapshots, name)
    damage(snapshots.folder(name))
    check(snapshots, name, snapshots.folder(name), before)


@pytest.mark.parametrize("damage", NOTICED_BY_CONTENT)
def test_damage_is_noticed_by_the_next_manager(snapshots, damage):
    name = f"stopped-{damage.__name__}"
    assert snapshots.make(name, HELLO)["state"] == "ready"
    folder = snapshots.folder(name)
    snapshots.instance.stop()
    damage(folder)
    snapshots.instance.start()
    check(snapshots, name, folder, [0, 0, 0])


def test_what_is_as_it_was_is_used_by_the_next_manager(snapshots):
    assert snapshots.make("well", HELLO)["state"] == "ready"
    made = snapshots.folder("well").stat().st_ino
    snapshots.instance.restart()
    # Right after its own start the warden is still getting criu ready.
    wait_until(lambda: snapshots.restore("well") == ("restored", 1), what="a start from it")
    assert snapshots.folder("well").stat().st_ino == made and snapshots.state("well")["failures"] == 0


RECORDS = {"empty": b"", "other": b"{}", "parts": b'{"files": [{"name": "x"}]}', "large": b"\xff" * 1000000}


@pytest.mark.parametrize("record", RECORDS)
def test_damaged_record_is_as_good_as_none(snapshots, record):
    assert snapshots.make("record", HELLO)["state"] == "ready"
    folder = snapshots.folder("record")
    snapshots.instance.stop()
    (snapshots.instance.state / "data/snapshots" / folder.name).write_bytes(RECORDS[record])
    snapshots.instance.start()
    assert snapshots.restore("record") == ("cold", 1)
    wait_until(lambda: snapshots.state("record")["state"] == "ready", what="a fresh snapshot")
    assert snapshots.folder("record") == folder
    snapshots.client.delete_function(FunctionName="record")


def test_one_that_is_damaged_again_and_again_is_given_up(snapshots):
    assert snapshots.make("doomed", HELLO)["state"] == "ready"
    for _ in range(3):
        wait_until(lambda: snapshots.state("doomed")["armed"] == 1, what="a sandbox to be armed")
        truncate(snapshots.folder("doomed"))
        assert snapshots.restore("doomed") == ("cold", 1)
        wait_until(lambda: snapshots.settled("doomed"), what="what comes after")
    state = snapshots.state("doomed")
    assert state["state"] == "unusable" and "is not what was dumped" in state["reason"]


CAUSES = {
    "exited": ("import os, snapshot_restore_py as s\ns.register_after_restore(os._exit, 7)", ("cold", 1)),
    "timeout": ("import time, snapshot_restore_py as s\ns.register_after_restore(time.sleep, 100)", ("cold", 1)),
    "hook": ("import snapshot_restore_py as s\ns.register_after_restore(lambda: 1 / 0)", None),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_failures_are_counted_by_cause(snapshots, cause):
    init, answer = CAUSES[cause]
    name = f"cause-{cause}"
    assert snapshots.make(name, {"app.py": f"{init}\ndef handler(event, context): return 1"})["state"] == "ready"
    before = snapshots.instance.status()["restore_failures_by_cause"]
    how, value = snapshots.restore(name)
    after = snapshots.instance.status()["restore_failures_by_cause"]
    assert {k: after[k] - before[k] for k in after if after[k] != before[k]} == {cause: 1}
    assert (how, value) == answer if answer else value["errorType"] == "ZeroDivisionError"
