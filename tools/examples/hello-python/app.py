"""The smallest Python function.

    fnrun deploy tools/examples/hello-python
    fnrun invoke hello-python --payload '{"name": "Ada"}'
"""

import sys

calls = 0


def handler(event, context):
    global calls
    calls += 1
    print(f"call {calls}, {context.get_remaining_time_in_millis()} ms left")
    return {
        "hello": event.get("name", "world"),
        "from": f"Python {sys.version.split()[0]}",
        "calls": calls,
    }
