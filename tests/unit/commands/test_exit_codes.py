"""Which exit code each kind of failure has: as docs/use/json.md promises."""

import pytest
from shoal.commands import exit_codes
from shoal.protocol.errors import KINDS, DiskError, Kind, OperatorError

PROMISED = {
    "usage": 2,
    "not_found": 3,
    "nobody_alive": 4,
    "integrity": 5,
    "timed_out": 7,
    "disk": 8,
    "tracker": 9,
    "not_allowed": 10,
    "unavailable": 11,
    "stopped": 130,
    "terminated": 143,
    "hung_up": 129,
    "bug": 1,
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_each_kind_has_its_exit_code(name: str, kind: Kind) -> None:
    assert exit_codes.of(kind("no")) == PROMISED[name]


def test_a_narrower_error_has_the_exit_code_of_its_kind() -> None:
    class FullError(DiskError):
        """A kind of its own, to whoever catches it."""

    class TakenError(OperatorError):
        """The same."""

    assert exit_codes.of(FullError("no")) == 8
    assert exit_codes.of(TakenError("no")) == 2
