"""The one line that says why a command failed on a host."""

import pytest
from shoal.hosts.reasons import reason
from shoal.hosts.roles import Role
from shoal.hosts.ssh import Outcome

N1 = Role("n1", "lab-7", ("node", "n1"))
DENIED = (
    "Permission denied (publickey); `ssh-copy-id lab-7`, or load an agent: "
    "passwords are not asked for"
)
UNKNOWN = "Host key verification failed; its key is not known here: check it, or pass --accept-new"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "no reason given"),
        ("a.bin: 3 %, 1 B of 9 B, 1 holder\nerror: the disk is full", "the disk is full"),
        ("error: no route\na.bin: 97 %, 1 B of 9 B\n", "no route"),
        ("killed\na.bin: 97 %, 1 B of 9 B\n", "killed"),
        ("a.bin: 97 %, 1 B of 9 B\n", "a.bin: 97 %, 1 B of 9 B"),  # There is nothing else.
        ("no such thing\nShared connection to lab-7 closed.\n", "no such thing"),
        ("ann@lab-7: Permission denied (publickey).", f"ann@lab-7: {DENIED}"),
        ("No key is known\nHost key verification failed.", UNKNOWN),
    ],
)
def test_it_is_what_a_command_calls_its_error_or_its_last_words(said: str, told: str) -> None:
    assert reason(Outcome(N1, 1, "", said)) == told
