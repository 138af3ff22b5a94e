"""A function with a heavy import: numpy with BLAS and LAPACK, from Debian's own packages.

    tools/dev/examples numpy-python            (fetches the packages and unpacks them beside this file)
    fnrun deploy tools/examples/numpy-python
    fnrun invoke numpy-python --payload '{"size": 200}'
"""

import time

import numpy as np

rng = np.random.default_rng(1)


def handler(event, context):
    size = min(int(event.get("size", 100)), 1000)
    started = time.perf_counter()
    a = rng.standard_normal((size, size))
    b = rng.standard_normal(size)
    x = np.linalg.solve(a, b)
    return {
        "numpy": np.__version__,
        "equations": size,
        "residual": float(np.abs(a @ x - b).max()),
        "ms": round((time.perf_counter() - started) * 1000, 2),
    }
