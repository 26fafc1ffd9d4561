"""How ssh is called, and what it leaves; tests/multihost/test_ssh.py connects to real hosts."""

import os
from pathlib import Path

import pytest
from shoal.hosts import connections
from shoal.hosts.connections import Connections

# What is called ssh here: it tells how it was called, and has a configuration of its user's.
FAKE_SSH = """\
#!/bin/sh
echo "$@" >>{folder}/called
case "$*" in *-G*) echo "controlpath {path}" ;; esac
"""


def fake(folder: Path, path: str) -> str:
    """Return the path of what has that ControlPath, if it is not empty."""
    text = FAKE_SSH.format(folder=folder, path=path)
    ssh = folder / "ssh"
    ssh.write_text(text if path else text.replace("controlpath", "user"))
    ssh.chmod(0o755)
    return str(ssh)


def calls(folder: Path) -> list[str]:
    return (folder / "called").read_text().splitlines()


def test_a_host_is_connected_to_once_and_the_connection_shared(tmp_path: Path) -> None:
    with Connections(fake(tmp_path, "")) as hosts:
        assert hosts.connect("lab-7") == hosts.connect("lab-7") == (0, "", "")
        argv = hosts.argv("lab-7", "true")
        assert "ControlMaster=auto" in argv
        (path,) = (word for word in argv if word.startswith("ControlPath="))
        folder = Path(path.partition("=")[2]).parent
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "socket").touch()
    assert [line.split()[-1] for line in calls(tmp_path)] == ["lab-7", "true", "shoal"]
    assert "-O exit" in calls(tmp_path)[-1]
    assert not folder.exists()


def test_a_connection_that_the_user_shares_is_used_and_not_closed(tmp_path: Path) -> None:
    with Connections(fake(tmp_path, "/home/ann/.ssh/%C"), accepts_new=True) as hosts:
        hosts.connect("lab-7")
        argv = hosts.argv("lab-7", "true")
    assert not any("Control" in word for word in argv)
    assert "StrictHostKeyChecking=accept-new" in argv
    assert not any("-O exit" in line for line in calls(tmp_path))


def test_what_is_used_instead_of_ssh_gets_no_options_of_ssh(tmp_path: Path) -> None:
    with Connections("srun --nodes=1 -w") as hosts:
        assert hosts.connect("lab-7") == (0, "", "")
        assert hosts.argv("lab-7", "true") == ["srun", "--nodes=1", "-w", "lab-7", "true"]


def test_what_a_killed_command_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SOCKETS", str(tmp_path))
    (tmp_path / "shoal-ssh-99999999-a").mkdir()
    (tmp_path / "shoal-ssh-99999999-b").mkdir()
    (tmp_path / "shoal-ssh-99999999-b" / "socket").touch()  # Perhaps its connection lives yet.
    (tmp_path / f"shoal-ssh-{os.getpid()}-c").mkdir()
    with Connections():
        left = {path.name for path in tmp_path.iterdir()}
    assert "shoal-ssh-99999999-a" not in left
    assert {"shoal-ssh-99999999-b", f"shoal-ssh-{os.getpid()}-c"} < left
