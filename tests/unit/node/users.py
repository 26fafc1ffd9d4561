"""Being another user for a moment, who may read less. Only root can."""

import contextlib
import os
from collections.abc import Iterator

import pytest

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become somebody else for a moment"
)
NOBODY = 65534


@contextlib.contextmanager
def somebody_else() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
