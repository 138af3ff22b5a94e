"""A function with a large heap: its init makes a table of 200 MB, a call looks at a few entries.

    fnrun deploy tools/examples/heap-python
    fnrun invoke heap-python --payload '{"keys": [7, 40000]}'
"""

PAGE = 4096
table = {n: n.to_bytes(8, "big") * (PAGE // 8) for n in range(50_000)}


def handler(event, context):
    keys = event.get("keys", range(0, len(table), len(table) // 5))
    return {key: int.from_bytes(table[key][:8], "big") for key in keys}
