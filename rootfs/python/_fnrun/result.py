"""Results that are more than plain JSON types, as the encoder of AWS's runtime (simplejson) writes them:
named tuples as objects, bytes as text, decimal numbers digit by digit.
"""

import sys
from _json import encode_basestring

from _fnrun import Fault, codec


class _Number(str):
    """The digits of a decimal number, to be written without quotes."""


def to_body(result):
    try:
        encode = codec.encoder({}, _encode_text)
        return "".join(encode(_plain(result, set()), 0)).encode()
    except Exception as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None


def _encode_text(text):
    return text if isinstance(text, _Number) else encode_basestring(text)


def _is_decimal(value):
    decimal = sys.modules.get("decimal")
    return decimal is not None and isinstance(value, decimal.Decimal)


def _plain(value, parents):
    if isinstance(value, bytes):
        return value.decode()
    if _is_decimal(value):
        return _Number(value)
    fields = getattr(value, "_asdict", None)
    if not isinstance(value, (list, tuple, dict)) and not callable(fields):
        return value
    if id(value) in parents:
        raise ValueError("Circular reference detected")
    parents.add(id(value))
    plain = _plain_container(fields() if callable(fields) else value, parents)
    parents.discard(id(value))
    return plain


def _plain_container(value, parents):
    if isinstance(value, dict):
        return {_plain_key(key): _plain(item, parents) for key, item in value.items()}
    return [_plain(item, parents) for item in value]


def _plain_key(key):
    if isinstance(key, bytes):
        return key.decode()
    return str(key) if _is_decimal(key) else key
