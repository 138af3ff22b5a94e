"""fnrun's runtime for Python functions: loads the handler, then answers invocations until the channel closes.

What is imported at start is paid for by every cold start, so it is little: `errors`, `logs` and `result` are
loaded by the first invocation that needs them. `json`, `struct` and `socket` stay out; their C parts are built
into the interpreter.
"""


class Fault(Exception):
    """A failure that has one of AWS's `Runtime.*` types and not the type of a Python exception."""

    def __init__(self, fault_type, message, trace=()):
        super().__init__(message)
        self.fault_type = fault_type
        self.trace = list(trace)
