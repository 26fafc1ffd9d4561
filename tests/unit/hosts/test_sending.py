"""What is sent to which host; what is called ssh here gives each host a home on this one."""

from pathlib import Path
from typing import NamedTuple

import pytest
from shoal.api.keys import KeyWishes, make_keys
from shoal.config.cluster import load
from shoal.hosts.connections import Connections
from shoal.hosts.roles import chosen_roles
from shoal.hosts.sending import send
from shoal.hosts.ssh import Hosts, Outcome
from shoal.protocol.errors import OperatorError

# `cat` tells how the file is protected into which it is about to write.
FAKE_SSH = """\
#!/bin/sh
printf '%s\\n' "$*" >>{home}/commands
[ "$1" != 10.0.0.9 ] || {{ echo "no route to host" >&2; exit 255; }}
export HOME={home}/"$1" PATH={home}/bin:"$PATH"
mkdir -p "$HOME" && cd "$HOME" && umask 0 && exec sh -c "$2"
"""
CAT = """\
#!/bin/sh
stat -c '%a %n' .shoal-hosts/*/cluster.keys/*.new.* >>{home}/modes 2>&-
exec /bin/cat
"""
TEXT = """\
tracker: {address: tcp://10.0.0.1:12000}
nodes:
  n1: {address: tcp://10.0.0.1:11001, folder: one}
  n2: {address: tcp://10.0.0.2:11001, folder: two}
  n3: {address: tcp://10.0.0.3:11001, folder: three}
readers: {laptop: {folder: files}}
"""


class Lab(NamedTuple):
    """A cluster file with keys, and the homes of its hosts."""

    file: Path
    homes: Path
    hosts: Hosts

    def send(self, on: str | None = None) -> list[Outcome]:
        loaded = load(self.file)
        every = chosen_roles(loaded, None, {})
        return send(self.hosts, chosen_roles(loaded, on, {}), every, loaded)

    def secrets(self, host: str) -> set[str]:
        folder = self.homes / host / ".shoal-hosts" / "my lab" / "cluster.keys"
        return {path.name for path in folder.iterdir()} if folder.exists() else set()

    def made(self, name: str) -> bytes:
        return (self.file.parent / "lab.keys" / f"{name}.key").read_bytes()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    for path, text in ((home / "fake-ssh", FAKE_SSH), (home / "bin" / "cat", CAT)):
        path.write_text(text.format(home=f"'{home}'"))
        path.chmod(0o755)
    file = tmp_path / "lab.yaml"
    file.write_text(TEXT)
    make_keys(file, KeyWishes())
    return Lab(file, home, Hosts("my lab", "shoal", Connections(f"'{home}/fake-ssh'")))


def test_each_host_gets_the_secrets_of_its_roles_and_no_other(lab: Lab) -> None:
    assert [outcome.exit_code for outcome in lab.send()] == [0, 0, 0, 0]
    assert lab.secrets("10.0.0.1") == {"tracker.key", "n1.key"}
    assert lab.secrets("10.0.0.2") == {"n2.key"}
    assert lab.secrets("10.0.0.3") == {"n3.key"}
    there = lab.homes / "10.0.0.2" / ".shoal-hosts" / "my lab"
    assert (there / "cluster.yaml").read_bytes() == lab.file.read_bytes()
    assert (there / "cluster.keys" / "n2.key").read_bytes() == lab.made("n2")


def test_a_secret_is_nobody_else_s_from_its_first_moment(lab: Lab) -> None:
    lab.send()
    lab.send()  # Over those of before.
    modes = [line.split(" ", 1) for line in (lab.homes / "modes").read_text().splitlines()]
    written = {name.rpartition("/")[2].partition(".new.")[0] for _, name in modes}
    assert written == {"tracker.key", "n1.key", "n2.key", "n3.key"}
    assert {mode for mode, _ in modes} == {"600"}
    folder = lab.homes / "10.0.0.1" / ".shoal-hosts" / "my lab" / "cluster.keys"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "n1.key").stat().st_mode & 0o777 == 0o600


def test_no_secret_is_on_a_command_line_or_in_a_dry_run(lab: Lab) -> None:
    lab.send()
    shown: list[str] = []
    dry = Lab(lab.file, lab.homes, Hosts("my lab", "shoal", Connections(), show=shown.append))
    dry.send()
    told = (lab.homes / "commands").read_text() + "\n".join(shown)
    assert "lab.keys/n1.key" in told
    for name in ("tracker", "n1", "n2", "n3", "admin", "laptop"):
        secret = lab.made(name).decode().split("curve-secret:")[1].strip()
        assert secret not in told


def test_the_secret_of_a_role_that_left_a_host_is_removed_there(lab: Lab) -> None:
    lab.send()
    text = lab.file.read_text()
    lab.file.write_text(text.replace("10.0.0.1:11001", "10.0.0.4:11001"))
    lab.send()
    assert lab.secrets("10.0.0.1") == {"tracker.key"}
    assert lab.secrets("10.0.0.4") == {"n1.key"}
    lab.file.write_text(TEXT.rpartition("readers")[0])
    lab.send()
    assert not any(lab.secrets(f"10.0.0.{number}") for number in (1, 2, 3))


def test_for_some_roles_the_secrets_of_others_stay(lab: Lab) -> None:
    lab.send()
    lab.send("n1")
    assert lab.secrets("10.0.0.1") == {"tracker.key", "n1.key"}


def test_a_secret_that_is_only_on_its_host_stays_there(lab: Lab) -> None:
    lab.send()
    (lab.file.parent / "lab.keys" / "n2.key").unlink()
    assert [outcome.exit_code for outcome in lab.send()] == [0, 0, 0, 0]
    assert lab.secrets("10.0.0.2") == {"n2.key"}


def test_a_wrong_secret_is_not_sent(lab: Lab) -> None:
    (lab.file.parent / "lab.keys" / "n2.key").write_bytes(lab.made("n3"))
    with pytest.raises(OperatorError, match=r"n2\.key does not belong to the key of n2"):
        lab.send()
    assert not (lab.homes / "commands").exists()


def test_a_host_that_cannot_be_reached_keeps_none_of_the_others(lab: Lab) -> None:
    lab.file.write_text(lab.file.read_text().replace("10.0.0.2:", "10.0.0.9:"))
    outcomes = {outcome.role.name: outcome.exit_code for outcome in lab.send()}
    assert outcomes == {"tracker": 0, "n1": 0, "n2": 255, "n3": 0}
    assert lab.secrets("10.0.0.3") == {"n3.key"}


def test_one_machine_by_two_names_keeps_all_its_secrets(lab: Lab) -> None:
    home = lab.homes / "ann@lab-1"
    (lab.homes / "10.0.0.1").mkdir()
    home.symlink_to("10.0.0.1")
    loaded = load(lab.file)
    every = chosen_roles(loaded, None, {"n1": "ann@lab-1"})
    outcomes = send(lab.hosts, every, every, loaded)
    assert [outcome.exit_code for outcome in outcomes] == [0, 0, 0, 0]
    assert lab.secrets("10.0.0.1") == {"tracker.key", "n1.key"}
