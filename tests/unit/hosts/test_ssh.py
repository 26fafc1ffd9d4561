"""What is run on hosts; what is called ssh here runs it on this one, in a home of its own."""

from pathlib import Path

import pytest
from shoal.hosts import running
from shoal.hosts.connections import Connections
from shoal.hosts.roles import Role
from shoal.hosts.ssh import Hosts, Payload, failures, reached
from shoal.protocol.errors import OperatorError

FAKE_SSH = """\
#!/bin/sh
[ "$1" != gone ] || { echo "no route to host" >&2; exit 255; }
export HOME={home}
cd "$HOME" && exec sh -c "$2"
"""
TRACKER = Role("tracker", "here", ("tracker",))
N1, GONE = Role("n1", "here", ("node", "n1")), Role("n2", "gone", ("node", "n2"))


@pytest.fixture
def ssh(tmp_path: Path) -> str:
    path = tmp_path / "fake ssh"
    path.write_text(FAKE_SSH.replace("{home}", f"'{tmp_path}'"))
    path.chmod(0o755)
    return f"'{path}'"


def test_a_file_is_sent_and_a_command_run(tmp_path: Path, ssh: str) -> None:
    hosts = Hosts("my lab", "echo as given:", Connections(ssh))
    file = Payload("lan.yaml", "tracker: …".encode())
    sent = hosts.on_each(
        [N1, GONE], "", lambda role: hosts.put(role, file, "my lab/cluster.yaml", "only")
    )
    assert (reached(sent), [one.role for one in failures(sent)]) == ([N1], [GONE])
    assert failures(sent)[0][1:] == (255, "", "no route to host")
    assert (tmp_path / ".shoal-hosts/my lab/cluster.yaml").read_text() == "tracker: …"
    (fetched,) = running.fetch(hosts, [N1], ["a b", "c"])
    assert fetched.stdout == "as given: fetch a b c --json --as n1 --config cluster.yaml"


def test_a_dry_run_shows_what_it_would_run_in_order(ssh: str) -> None:
    shown: list[str] = []
    hosts = Hosts("lab", "shoal", Connections(ssh), show=shown.append)
    assert hosts.is_dry_run
    assert not failures(running.stop(hosts, [TRACKER, N1, GONE]))
    lines = [line for line in shown if "stop lab shoal" in line]
    assert len(lines) == len(shown)
    roles = [line.partition("stop lab shoal ")[2] for line in lines]
    order = ["node n1", "node n2", "tracker"]  # Nodes say goodbye to the tracker.
    assert [role.startswith(word) for role, word in zip(roles, order, strict=True)] == 3 * [True]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("ssh 'x", "--ssh: ssh 'x: No closing quotation; quote it as for a shell"),
        (" ", "--ssh: found no command; expected one such as ssh"),
    ],
)
def test_what_is_no_command_is_refused(command: str, words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        Connections(command)


def test_an_ssh_that_is_not_there_is_told() -> None:
    hosts = Hosts("lab", "shoal", Connections("/no/ssh"))
    with pytest.raises(OperatorError, match="cannot run /no/ssh: No such file or directory; inst"):
        running.states(hosts, [N1])
