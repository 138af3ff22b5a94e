"""The measuring programs in tools/dev, with small counts: nothing fails, nothing stays; and what stays is found."""

import contextlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from conftest import create_function, make_client
from instance import BUILD, ROOT, wait_until

DEV = ROOT / "tools" / "dev"
sys.path.insert(0, str(DEV))

CYCLES = 240
ONCE = "def handler(event, context): return 1"


def run(program, *args, env=None):
    return subprocess.run(["/usr/bin/python3", DEV / program, *map(str, args)], capture_output=True, text=True,
                          env={**os.environ, "FNRUN_BUILD": str(BUILD), **(env or {})})


def load(program):
    """A program of tools/dev as a module."""
    loader = importlib.machinery.SourceFileLoader(program.replace("-", "_"), str(DEV / program))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def test_hundreds_of_cycles_leave_nothing():
    done = run("soak", "--count", CYCLES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"{CYCLES} cycles, 0 failures, no leak"
    assert {"hello-python: ready", "hello-node: ready", "hello-shell: ready"} <= set(done.stderr.replace("soak: ", "").splitlines())


# --- the check itself: each of these leaves something, and takes it away again ------------------------------------------


@contextlib.contextmanager
def leave_file(soak, instance):
    path = instance.state / "snapshots" / "left"
    path.touch()
    yield {"files in the state directory"}
    path.unlink()


@contextlib.contextmanager
def leave_cgroup(soak, instance):
    path = os.path.join(soak.control_groups(instance)[0], "left")
    os.mkdir(path)
    yield {"control groups"}
    os.rmdir(path)


@contextlib.contextmanager
def leave_mount(soak, instance):
    def inside(*command):
        subprocess.run(["nsenter", "--mount", "--target", str(instance.pids()["fnrund"]), *command], check=True)

    at = instance.state / "data" / "logs"
    inside("mount", "-t", "tmpfs", "left", at)
    inside("touch", at / "left")
    yield {"mounts in the daemons' namespaces", "private file systems", "inodes in them"}
    inside("umount", at)


@contextlib.contextmanager
def leave_shared_memory(soak, instance):
    path = pathlib.Path("/dev/shm") / instance.state.name
    path.touch()
    yield {"entries in /dev/shm"}
    path.unlink()


@contextlib.contextmanager
def leave_process(soak, instance):
    uid = str(instance.uid_base + 7)
    left = subprocess.Popen(["unshare", "--net", "setpriv", "--reuid", uid, "--clear-groups", "sleep", "60"])
    soak.wait_until(lambda: soak.processes()[left.pid][2] == "sleep", what="the program to run")
    yield {"processes", "network namespaces"}
    left.kill()
    left.wait()


@pytest.fixture(scope="module")
def counted():
    """soak, an instance without a sandbox, and what soak counts of it."""
    soak = load("soak")
    with soak.started(idle_seconds=1) as instance:
        create_function(make_client(instance, "lambda"), "once", {"app.py": ONCE})
        instance.cli("invoke", "once")
        instance.remember_cgroup()
        yield soak, instance, soak.settle(instance)


@pytest.mark.parametrize("leave", [leave_file, leave_cgroup, leave_mount, leave_shared_memory, leave_process])
def test_what_stays_is_found(counted, leave):
    soak, instance, before = counted
    with leave(soak, instance) as what:
        after = soak.take(instance)
    assert set(soak.differences(before, after)) == what
    assert soak.take(instance) == before


# --- measuring ----------------------------------------------------------------------------------------------------------


def test_restores_for_a_time(tmp_path):
    out = tmp_path / "json"
    done = run("bench-restore", "--seconds", 2, "--goal", 1, "--json", out)
    assert done.returncode == 0, done.stdout + done.stderr
    got = json.loads(out.read_text())
    assert got["errors"] == got["restore_failures"] == 0 and got["count"] == len(got["samples_ns"]) == got["cold_starts"] > 16
    assert run("bench-restore", "--seconds", 1, "--goal", 1e6).returncode == 1


def test_density_counts_restored_instances(tmp_path):
    out = tmp_path / "json"
    done = run("bench-density", "--count", 12, "--samples", 2, "--json", out)
    assert "idle instances" in done.stdout, done.stdout + done.stderr
    got = json.loads(out.read_text())
    assert len(got["pss_bytes"]) >= 12 and all(size > 100_000 for size in got["pss_bytes"])
    assert len(got["empty_ns"]) == len(got["full_ns"]) == 2 and set(got["daemons_bytes"]) == {"warden", "fnrund"}


@pytest.mark.parametrize("at_a_time", [1, 4])
def test_bench_for_a_time(fnrun, make_function, at_a_time):
    name = make_function("bench-seconds", {"app.py": ONCE})
    got = json.loads(fnrun.cli("bench", name, "--seconds", "1", "--concurrency", at_a_time, "--json").stdout)
    assert got["errors"] == 0 and got["count"] == len(got["samples_ns"]) > 100
    assert 1e9 <= got["elapsed_ns"] < 2e9 and sum(got["samples_ns"]) <= at_a_time * got["elapsed_ns"]
    got = json.loads(fnrun.cli("bench", name, "--seconds", "20", "--count", "7", "--json").stdout)
    assert got["count"] == 7 and got["elapsed_ns"] < 10e9


def test_a_measured_restore_comes_after_one_that_arms(own_fnrun):
    create_function(make_client(own_fnrun, "lambda"), "once", {"app.py": ONCE})
    own_fnrun.cli("invoke", "once")
    wait_until(lambda: '"ready"' in own_fnrun.cli("snapshot", "list", "--json").stdout, what="the snapshot")
    got = json.loads(own_fnrun.cli("bench", "once", "--mode", "restore", "--count", "3", "--json").stdout)
    assert got["errors"] == 0 and len(got["samples_ns"]) == 3
    assert own_fnrun.status()["restored_starts"] == 4


def test_bench_wants_all_that_it_compares_with():
    done = run("bench", env={"PATH": "/nowhere"})
    assert done.returncode == 1 and "bwrap and runc: not installed" in done.stderr and done.stdout == ""


def test_the_picture_shows_each_row():
    picture = importlib.import_module("picture")
    rows = [{"name": f"<{n}>", "kind": kind, "samples_ns": [1000 * 2**n, 1010 * 2**n, 5000 * 2**n], "p50": 1010 * 2**n,
             "p99": 5000 * 2**n} for n, kind in enumerate(picture.KINDS)]
    svg = xml.etree.ElementTree.fromstring(picture.draw("title", "subtitle", [("one", rows), ("two", rows[:1])]))
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    shapes = list(svg.iter("{http://www.w3.org/2000/svg}path"))
    assert len(shapes) == len(rows) + 1 and all(texts.count(row["name"]) >= 1 for row in rows)
    assert {"title", "one", "two", "1.01 µs", "40 µs"} <= set(texts)
