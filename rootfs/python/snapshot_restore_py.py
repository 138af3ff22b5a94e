"""AWS's runtime hooks: what a function wants done before its snapshot is taken, and after each restore.

    from snapshot_restore_py import register_after_restore

    @register_after_restore
    def reconnect():
        ...
"""

_before_snapshot = []
_after_restore = []


def register_before_snapshot(func, *args, **kwargs):
    """Calls func(*args, **kwargs) before the snapshot; what was registered last is called first."""
    _before_snapshot.insert(0, (func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Calls func(*args, **kwargs) after a restore, before the first invocation, in the order of registration."""
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return list(_before_snapshot)


def get_after_restore():
    return list(_after_restore)
