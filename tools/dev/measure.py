"""What the measuring programs of this folder share: a private instance, its functions, and numbers out of /proc."""

import contextlib
import json
import pathlib
import re
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "system"))

from instance import BUILD, Instance, cgroups, processes, wait_until  # noqa: E402 (found only from here on)

__all__ = ["BUILD", "MIB", "ROOT", "cgroups", "command", "deploy", "percentile", "processes", "pss_bytes", "sandboxes",
           "say", "snapshots", "started", "wait_until"]

MIB = 1 << 20


def say(text):
    print(f"{pathlib.Path(sys.argv[0]).name}: {text}", file=sys.stderr, flush=True)


def percentile(samples, p):
    """Nearest rank: a value that was measured."""
    ordered = sorted(samples)
    return ordered[max(0, -(-len(ordered) * p // 100) - 1)]


@contextlib.contextmanager
def started(**manager_options):
    """A private instance. However this ends, it goes, and it is an error if it leaves something behind."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so would ours
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    instance = Instance(manager_options=[f"--{name.replace('_', '-')}={value}" for name, value in manager_options.items()])
    try:
        yield instance.start()
    finally:
        instance.close()


def command(instance, *args, may_fail=False):
    """What an fnrun command prints with --json. bench exits with 1 where an invocation failed; then it still prints."""
    run = instance.cli(*args, "--json")
    if run.returncode != 0 and not (may_fail and run.stdout):
        raise SystemExit(f"fnrun {' '.join(map(str, args))}: {run.stderr.strip() or run.stdout}")
    return json.loads(run.stdout) if run.stdout.startswith(("{", "[")) else run.stdout


def snapshots(instance):
    """{function: its snapshot's state}"""
    return {s["function"]: s for s in command(instance, "snapshot", "list")}


def deploy(instance, name, example, *options):
    """Makes a function of an example, starts it once, and waits for its snapshot: the state that this has ended in."""
    command(instance, "deploy", ROOT / "tools/examples" / example, "--name", name, *options)
    command(instance, "invoke", name)
    return wait_until(lambda: settled(instance, name), 60, f"the snapshot of {name}")


def settled(instance, name):
    state = snapshots(instance)[name]
    return state if state["state"] in ("ready", "unusable") else None


def pss_bytes(pid):
    """A process's proportional share of the memory that it has mapped; 0 where it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1]) * 1024


def sandboxes(instance):
    """{pid namespace: {pid in there: pid}} of all sandboxes of an instance."""
    found = {}
    for pid in instance.sandboxed():
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            space = pathlib.Path(f"/proc/{pid}/ns/pid").readlink()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.setdefault(space, {})[int(re.search(r"^NSpid:.*\s(\d+)$", status, re.M)[1])] = pid
    return found
