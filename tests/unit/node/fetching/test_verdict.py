"""What the operator is told."""

from shoal.node.fetching import verdict
from shoal.node.fetching.roster import Trouble
from shoal.protocol.errors import ExitCode

from tests.unit.node.fetching.test_roster import LIED, LOST, a_roster

ESCAPE = "\x1b[31m"


def test_no_such_file() -> None:
    fail = verdict.no_such_file(f"a{ESCAPE}")
    assert fail.exit_code is ExitCode.NOT_FOUND
    assert fail.message.startswith(r"no such file was found: a\x1b[31m; ")


def test_a_proven_lie_is_what_counts() -> None:
    roster = a_roster("n1 n2")
    roster.part_with("n1", LIED, 0)
    roster.part_with("n2", LOST, 0)
    fail = verdict.nobody_delivers("a.bin", roster, [])
    assert fail.exit_code is ExitCode.INTEGRITY
    assert "n1 sent wrong bytes; n2 closed the connection" in fail.message


def test_nobody_is_there() -> None:
    roster = a_roster("n1")
    roster.part_with("n1", Trouble("cannot be reached"), 0)
    fail = verdict.nobody_delivers("a.bin", roster, ["n9"])
    assert fail.exit_code is ExitCode.NOBODY_ALIVE
    assert fail.message.startswith("nobody alive holds a.bin: n1 cannot be reached; ")


def test_names_those_who_are_offline() -> None:
    fail = verdict.nobody_delivers("a.bin", a_roster(), ["n8", "n9"])
    assert fail.message.startswith("nobody alive holds a.bin: offline: n8, n9; ")
    fail = verdict.nobody_delivers("a.bin", a_roster(), [])
    assert fail.message.startswith("nobody alive holds a.bin; ")


def test_those_who_are_there_send_nothing() -> None:
    fail = verdict.nobody_delivers("a.bin", a_roster("n1 n2"), [])
    assert fail.exit_code is ExitCode.TIMED_OUT
    assert fail.message.startswith("n1, n2 sent nothing of a.bin for long; ")
