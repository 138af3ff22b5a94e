"""Before the process is dumped, and after it was restored from the dump: once each, or the second many times.

Loaded before the dump, so that a restore finds all of it in memory.
"""

import gc
import os
import sys

from _fnrun import channel, codec, context

# Loading what trims takes half a megabyte.
_TRIM_FROM_BYTES = 24 << 20

_HEAD = {"id": "", "deadline_ms": 0, "arn": "", "trace": ""}


def prepare():
    """The function's hooks; then what makes the dump smaller and the time after a restore shorter."""
    _run_hooks("_before_snapshot")
    _warm()
    # What lives now lives on: the collector need not look at it again, which would copy its pages after a restore.
    gc.collect()
    _trim()
    gc.freeze()


def resume(head):
    """Makes this instance one of its own."""
    for name, value in head["env"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    reseed()
    _run_hooks("_after_restore")


def reseed():
    """New random state wherever a process keeps one; all restored from one dump would go on alike.

    What asks the kernel each time (secrets, os.urandom, uuid4) needs nothing. Out of reach are generators that the
    function has made itself, `random.Random()` or `numpy.random.default_rng()`: those it must make again in a hook
    after the restore. The seed of hash() can't change in a process that has dictionaries.
    """
    modules = sys.modules
    if "random" in modules:
        modules["random"].seed()
    if "_ssl" in modules:
        # Goes to OpenSSL's primary generator; the others take new state from it before their next byte.
        modules["_ssl"].RAND_add(os.urandom(32), 32.0)
    if "numpy.random" in modules:
        modules["numpy.random"].seed()
    if "uuid" in modules:
        modules["uuid"]._node = modules["uuid"]._last_timestamp = None
    if "tempfile" in modules:
        modules["tempfile"]._name_sequence = None


def _run_hooks(phase):
    registry = sys.modules.get("snapshot_restore_py")
    if registry:
        for func, args, kwargs in list(getattr(registry, phase)):
            func(*args, **kwargs)


def _warm():
    """Runs what each restore and each invocation runs, but for the handler: code that has run is faster code."""
    reseed()
    for _ in range(3):
        context.LambdaContext(_HEAD, None, None).get_remaining_time_in_millis()
        codec.to_body(codec.parse(b'{"a": [1, "b", null, 1.5]}'))
    # A frame that is complete, for receive() to take apart.
    channel.unpack(channel.pack(channel.INVOKE, b"{}", b"{}"))


def _trim():
    """Gives the holes that freed objects have left in the heap back to the kernel."""
    with open("/proc/self/statm", "rb") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if resident < _TRIM_FROM_BYTES and "_ctypes" not in sys.modules:
        return
    from _ctypes import call_function, dlopen, dlsym

    call_function(dlsym(dlopen(None, 0), "malloc_trim"), (0,))
