"""What is said of what is not shared."""

import pytest
from shoal.commands import share
from shoal.node.trees.left_out import LEADS_OUT
from shoal.protocol.control import Omission


def test_of_much_that_is_left_out_some_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    share._warn("t", [Omission(f"l{number}\n", LEADS_OUT) for number in range(100)], 1000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == rf"warning: t/l0\n is not shared: {LEADS_OUT}"
    assert lines[20:] == [
        "warning: and 980 more in t are not shared",
        "`shoal share` with --follow-links shares what these links point to, too",
    ]
    share._warn("t", (), 0)
    assert capsys.readouterr().err == ""
