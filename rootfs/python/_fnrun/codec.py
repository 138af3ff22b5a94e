"""JSON as the AWS runtime reads and writes it, by the interpreter's own C scanner and encoder.

Importing `json` would add half the interpreter's start time (regular expressions, enums); the C parts need
none of it.
"""

import marshal
from _json import encode_basestring, make_encoder, make_scanner

from _fnrun import Fault


class _ScannerSettings:
    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


_scan = make_scanner(_ScannerSettings)
_open_containers = {}


def refuse(value):
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def encoder(containers, text_encoder):
    """A C encoder with the settings of json.dumps(ensure_ascii=False); `containers` finds circles."""
    return make_encoder(containers, refuse, text_encoder, None, ": ", ", ", False, False, True)


_encode = encoder(_open_containers, encode_basestring)


def parse(data):
    """What json.loads(data) gives for UTF-8 bytes; Fault if they are no JSON."""
    text = data.decode("utf-8", "surrogatepass").strip(" \t\n\r")
    try:
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except (StopIteration, ValueError):
        pass
    return _explain(text)


def _explain(text):
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None


def to_body(result):
    """A handler's result as the bytes of a response; Fault if it has no JSON form."""
    if isinstance(result, bytes):
        return result
    try:
        # marshal refuses, at the speed of C, every value with a part that is not of a plain type; of those it
        # takes, the encoder refuses what JSON cannot hold. So the encoder never sees a named tuple, which it
        # would write as an array where AWS writes an object.
        marshal.dumps(result, 2)
        return "".join(_encode(result, 0)).encode()
    except Exception:
        _open_containers.clear()
    from _fnrun import result as special

    return special.to_body(result)
