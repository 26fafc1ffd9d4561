"""What is simulated runs untraced: tracing would take as long again, of minutes.

The tests of each package show which of its lines are tested.
"""

from collections.abc import Iterator

import coverage
import pytest


@pytest.fixture(scope="module", autouse=True)
def _untraced() -> Iterator[None]:
    running = coverage.Coverage.current()
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
            patch.delenv(variable, raising=False)  # Whatever is started is not traced either.
        if running is not None:
            running.stop()
        yield
        if running is not None:
            running.start()
