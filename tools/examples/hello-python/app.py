"""The smallest Python function.

    fnrun deploy tools/examples/hello-python
    fnrun invoke hello-python --payload '{"name": "Ada"}'
"""

import platform

calls = 0


def handler(event, context):
    global calls
    calls += 1
    print(f"call {calls}, {context.get_remaining_time_in_millis()} ms left")
    return {
        "hello": event.get("name", "world"),
        "from": f"Python {platform.python_version()}",
        "calls": calls,
    }
