"""Where no lab can be made, the tests that need one are skipped, or fail in CI."""

from tests.multihost.conftest import lab_obstacle

__all__ = ["lab_obstacle"]
