"""Starts from CRIU snapshots: what is restored, what is new in each instance, and what happens when it can't be."""

import os
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import invoke_function
from instance import wait_until
from snapshots import Snapshots

PYTHON = """
import os, random, secrets, ssl, tempfile, time, uuid
random.seed(1)
made = time.time()
calls = 0
def handler(event, context):
    global calls
    calls += 1
    return {"calls": calls, "made": made, "now": time.time(), "pid": os.getpid(),
            "stream": context.log_stream_name, "env": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
            "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
            "random": [random.getrandbits(64), secrets.token_hex(8), str(uuid.uuid4()), ssl.RAND_bytes(8).hex(),
                       next(tempfile._get_candidate_names())]}
"""

NODE = """
const crypto = require('crypto')
crypto.randomUUID(); crypto.randomInt(5); Math.random()
let calls = 0
exports.handler = async (event, context) => ({
  calls: ++calls, pid: process.pid, stream: context.logStreamName, env: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
  random: [Math.random(), crypto.randomBytes(8).toString('hex'), crypto.randomUUID(), crypto.randomInt(2 ** 40),
           Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex')],
})
"""

FUNCTIONS = {"python": ({"app.py": PYTHON}, {}),
             "node": ({"index.js": NODE}, {"runtime": "nodejs20.x", "handler": "index.handler"})}


@pytest.fixture(scope="module")
def snapshots():
    made = Snapshots()
    yield made
    made.instance.close()


@pytest.fixture(scope="module", params=FUNCTIONS)
def function(request, snapshots):
    files, kw = FUNCTIONS[request.param]
    state = snapshots.make(request.param, files, **kw)
    assert state["state"] == "ready", state
    return request.param


def test_restored_instances_are_alike_in_what_init_made(snapshots, function):
    answers = [snapshots.restore(function) for _ in range(3)]
    assert [how for how, _ in answers] == ["restored"] * 3
    assert [a["calls"] for _, a in answers] == [1, 1, 1] and {a["pid"] for _, a in answers} == {2}
    assert len({a.get("made") for _, a in answers}) == 1


def test_each_has_its_own_log_stream_and_environment(snapshots, function):
    answers = [snapshots.restore(function)[1] for _ in range(3)]
    assert all(a["stream"] == a["env"] for a in answers) and len({a["stream"] for a in answers}) == 3
    assert {a.get("type", "snap-start") for a in answers} == {"snap-start"}


def test_no_two_have_the_same_random_values(snapshots, function):
    values = [tuple(map(str, snapshots.restore(function)[1]["random"])) for _ in range(12)]
    for source in zip(*values):
        assert len(set(source)) == len(values), source


def test_restored_ones_stay_warm_and_many_can_be_made_at_once(snapshots, function):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: snapshots.restore(function), range(16)))
    assert all(a["calls"] == 1 for _, a in answers) and {how for how, _ in answers} == {"restored"}
    assert invoke_function(snapshots.client, function).value["calls"] == 2


def test_report_has_the_restore_duration(snapshots, function):
    snapshots.restore(function)
    log = urllib.request.urlopen(f"{snapshots.instance.endpoint}/_fnrun/logs/{function}?offset=0").read().decode()
    last = [line for line in log.splitlines() if line.startswith("REPORT")][-1]
    assert "\tRestore Duration: " in last and "\tBilled Restore Duration: " in last and "Init Duration" not in last
    assert "RESTORE_START Runtime Version" in log


def damage_pages(folder):
    path = next(folder.glob("pages-*.img"))
    path.write_bytes(path.read_bytes()[:4096])


def damage_ends(folder):
    (folder / "ends").write_text("nonsense")


def damage_core(folder):
    path = folder / "core-2.img"
    path.write_bytes(b"\xff" * path.stat().st_size)


@pytest.mark.parametrize("damage", [damage_pages, damage_ends, damage_core, lambda f: (f / "mm-2.img").unlink()])
def test_damaged_snapshots_are_thrown_away_and_the_invocation_succeeds(snapshots, damage):
    name = f"damaged-{damage.__name__.strip('<>')}"
    assert snapshots.make(name, {"app.py": PYTHON})["state"] == "ready"
    damage(snapshots.folder(name))
    seen = [snapshots.restore(name) for _ in range(4)]
    assert all(a.get("calls") == 1 for _, a in seen), seen
    wait_until(lambda: snapshots.state(name)["failures"] >= 1, what="the failure to be counted")
    wait_until(lambda: snapshots.state(name)["state"] == "ready", what="a fresh snapshot")
    assert snapshots.restore(name)[1]["calls"] == 1


def test_survives_a_restart_and_ends_with_the_function(snapshots):
    instance = snapshots.instance
    assert snapshots.make("kept", {"app.py": PYTHON})["state"] == "ready"
    folder = snapshots.folder("kept")
    instance.stop()
    instance.start()
    wait_until(lambda: snapshots.restore("kept")[0] == "restored", what="the first restore after the restart")
    snapshots.client.update_function_configuration(FunctionName="kept", Environment={"Variables": {"AB": "1"}})
    wait_until(lambda: not folder.exists(), what="the old revision's snapshot to go")
    snapshots.client.delete_function(FunctionName="kept")


UNUSABLE = {
    "leaves-a-process": ("import os\nos.fork() or (os.fork() or __import__('time').sleep(1000), os._exit(0))", "no child"),
    "hook-fails": ("import snapshot_restore_py as s\ns.register_before_snapshot(lambda: 1 / 0)", "ZeroDivisionError"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_snapshotted_says_why_and_starts_cold(snapshots, name):
    init, why = UNUSABLE[name]
    state = snapshots.make(name, {"app.py": f"{init}\ndef handler(event, context): return 1"})
    assert state["state"] == "unusable" and why in state["reason"]
    assert snapshots.restore(name) == ("cold", 1)


HOOKS = """
from snapshot_restore_py import register_after_restore, register_before_snapshot
seen = []
register_before_snapshot(seen.append, "first")
register_before_snapshot(seen.append, "second")
@register_after_restore
def after():
    seen.append("restored")
def handler(event, context): return seen
"""


def test_hooks_run_in_their_order(snapshots):
    assert snapshots.make("hooks", {"app.py": HOOKS})["state"] == "ready"
    assert snapshots.restore("hooks") == ("restored", ["second", "first", "restored"])


def test_cli_lists_them(snapshots, function):
    env = {**os.environ, "FNRUN_ENDPOINT": snapshots.instance.endpoint}
    out = subprocess.run([snapshots.instance.bin, "snapshot", "list"], env=env, capture_output=True, text=True,
                         check=True).stdout
    assert f"{function}\tready\t" in out


VIEW = """
import os, re, resource
def handler(event, context):
    status = dict(re.findall(r"^(\\w+):\\t(.*)$", open("/proc/self/status").read(), re.M))
    keep = ["Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Seccomp_filters", "CapInh", "CapPrm", "CapEff", "CapBnd",
            "CapAmb", "Umask", "SigBlk", "SigIgn", "NSpid"]
    mounts = [line.split()[3:6] for line in open("/proc/self/mountinfo")]
    return {
        "status": {k: status[k].strip() for k in keep},
        "limits": open("/proc/self/limits").read(),
        "fds": {fd: os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{fd}")},
        "mounts": sorted(" ".join([at, *options.split(",")[:4]]) for _, at, options in mounts if at != "/run"),
        "processes": sorted(p for p in os.listdir("/proc") if p.isdigit()),
        "oom": open("/proc/self/oom_score_adj").read(),
        "cwd": os.getcwd(), "sid": os.getsid(0),
    }
"""


def test_restored_processes_are_as_confined_as_others(snapshots):
    """All that isolation gives is given again: criu builds the process with root's power."""
    assert snapshots.make("view", {"app.py": VIEW})["state"] == "ready"
    cold = invoke_function(snapshots.client, "view").value
    how, restored = snapshots.restore("view")
    assert how == "restored" and restored == cold
    assert cold["status"]["Seccomp"] == "2" and cold["status"]["NoNewPrivs"] == "1"
    assert {cold["status"][c].strip("0") for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {""}
    assert cold["processes"] == ["2"]


def test_children_of_a_restored_process_have_their_own_random_bytes(snapshots):
    code = """
import os
def child():
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, os.urandom(8))
        os._exit(0)
    os.wait()
    return os.read(read, 8).hex()
def handler(event, context): return [os.urandom(8).hex(), child(), child(), os.urandom(8).hex()]
"""
    assert snapshots.make("forks", {"app.py": code})["state"] == "ready"
    values = snapshots.restore("forks")[1] + snapshots.restore("forks")[1]
    assert len(set(values)) == 8, values


NODE_HOOKS = """
const { registerAfterRestore, registerBeforeSnapshot } = require('snapshot-restore')
const seen = []
registerBeforeSnapshot(() => seen.push('first'))
registerBeforeSnapshot(async () => { await null; seen.push('second') })
registerAfterRestore(async () => { await null; seen.push('restored') })
exports.handler = async () => seen
"""


def test_hooks_of_node(snapshots):
    state = snapshots.make("hooks-node", {"index.js": NODE_HOOKS}, runtime="nodejs20.x", handler="index.handler")
    assert state["state"] == "ready", state
    assert snapshots.restore("hooks-node") == ("restored", ["second", "first", "restored"])


def test_few_sandboxes_are_armed_and_not_for_ever():
    made = Snapshots("--max-armed=2", "--idle-seconds=3")

    def armed():
        return sum(s["armed"] for s in made.get("/_fnrun/snapshots"))

    try:
        for i in range(4):
            assert made.make(f"few-{i}", {"app.py": PYTHON})["state"] == "ready"
        wait_until(lambda: armed() <= 2, what="the third to give way")
        assert [made.restore(f"few-{i}")[0] for i in (0, 1, 2, 3, 0)] == ["restored"] * 5
        wait_until(lambda: armed() == 0, what="the armed sandboxes to end")
        assert made.restore("few-0")[0] == "restored"
    finally:
        made.instance.close()


def test_connections_of_init_are_reset_after_a_restore(snapshots):
    code = """
import http.client
kept = http.client.HTTPConnection("127.0.0.1", 9002)
def ask():
    kept.request("GET", "/_fnrun/ping")
    return kept.getresponse().read().decode()
first = ask()
def handler(event, context):
    try:
        ask()
    except ConnectionError as e:
        kept.close()
        return [first, type(e).__name__, ask()]
"""
    assert snapshots.make("connected", {"app.py": code})["state"] == "ready"
    how, (first, error, later) = snapshots.restore("connected")
    assert how == "restored" and first == later and error in ("ConnectionResetError", "BrokenPipeError",
                                                              "RemoteDisconnected")
