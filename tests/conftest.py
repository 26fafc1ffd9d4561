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

# Tracing takes several times as long, also in each process that is started. So only what these run
# counts as tested: all of tests/unit, and a few of the others.
TRACED = {
    "tests/unit",
    *(
        f"tests/integration/test_{each}.py"
        for each in (
            *("bad_input", "commands", "compacting", "filesystem", "init_command", "keys_command"),
            *("library", "metrics", "push", "reading", "redis_faults", "store_contract"),
        )
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _untraced(request: pytest.FixtureRequest) -> Iterator[None]:
    running = coverage.Coverage.current()
    path = request.path.relative_to(request.config.rootpath)
    if running is None or TRACED & {str(path), *map(str, path.parents)}:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # Nor are processes that it starts.
        running.stop()
        yield
        running.start()
