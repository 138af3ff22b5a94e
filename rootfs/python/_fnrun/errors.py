"""Error objects: what a client gets for a failed invocation, and the log record about it."""

import json
import os
import traceback

from _fnrun import Fault

_OWN_FILES = os.path.dirname(os.path.dirname(__file__)) + os.sep
_NO_BREAK_SPACE = "\u00a0"


def describe(error, request_id):
    """The error object for an exception."""
    if isinstance(error, Fault):
        error_type, stack = error.fault_type, error.trace
    else:
        error_type, stack = type(error).__name__, _stack(error)
    return {"errorMessage": _message(error), "errorType": error_type, "requestId": request_id, "stackTrace": stack}


def to_body(error_object):
    # Half of a surrogate pair has no UTF-8 form; "\ud800" is how JSON spells it.
    return json.dumps(error_object, ensure_ascii=False).encode("utf-8", "backslashreplace")


def log_record(error_object):
    """The error as one record of the log: its line ends are \r and its indents do not collapse."""
    title = ["[ERROR]", error_object["errorType"]]
    if error_object["errorMessage"]:
        title = [title[0], title[1] + ":", error_object["errorMessage"]]
    lines = [" ".join(title), "Traceback (most recent call last):"]
    for entry in error_object["stackTrace"]:
        lines += [_indent(line) for line in entry.splitlines()]
    return ("\r".join(lines) + "\n").encode("utf-8", "backslashreplace").decode()


def _indent(line):
    text = line.lstrip(" ")
    return _NO_BREAK_SPACE * (len(line) - len(text)) + text


def _message(error):
    try:
        return str(error)
    except Exception:
        return "<exception str() failed>"


def _stack(error):
    """The traceback from the function's first frame on, each entry without the markers (^^^^) of newer Pythons."""
    frames = traceback.extract_tb(error.__traceback__)
    while len(frames) > 1 and frames[0].filename.startswith(_OWN_FILES):
        del frames[0]
    return traceback.format_list([(frame.filename, frame.lineno, frame.name, frame.line) for frame in frames])
