"""How hypothesis searches, and what is not traced. Other fixtures live beside their tests."""

import os
from collections.abc import Iterator

import coverage
import hypothesis
import pytest

# The same examples on every run, so that a red check was made red by the change at hand.
hypothesis.settings.register_profile("default", max_examples=100, derandomize=True, deadline=None)
# Fewer, for what runs the tests of a function a hundred times (tests.mutation).
hypothesis.settings.register_profile("few", max_examples=20, derandomize=True, deadline=None)
# New ones on each run: for a night, or before a release.
hypothesis.settings.register_profile("deep", max_examples=5000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Tracing takes half as long again, and these run for minutes. So only what tests/unit and
# tests/integration run counts as tested.
UNTRACED = tuple(
    f"tests.{each}." for each in ("disk_faults", "faults", "fuzz", "multihost", "simulation")
)


@pytest.fixture(scope="module", autouse=True)
def _untraced(request: pytest.FixtureRequest) -> Iterator[None]:
    running = coverage.Coverage.current()
    if running is None or not request.module.__name__.startswith(UNTRACED):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # Nor are processes that it starts.
        running.stop()
        yield
        running.start()
