"""What `shoal service` prints, installs and refuses."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.commands.service import Wishes, for_user, run_remove, run_service
from shoal.config.cluster import Cluster, load
from shoal.protocol.errors import OperatorError

ROOT = Path(__file__).parents[3]
TEXT = """\
tracker: {address: tcp://127.0.0.1:12000, state_folder: ~/state}
nodes:
  n1: {address: tcp://127.0.0.1:11001, folder: one}
"""
# `systemctl` for somebody who is not root, and for root, whose units would go to the real place.
RUNS, RUNS_NOT = "echo running", "echo offline; exit 1"


@pytest.fixture
def lab(tmp_path: Path) -> Cluster:
    path = tmp_path / "lab.yaml"
    path.write_text(TEXT)
    return load(path)


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give what stands for systemctl, by its script."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    def put(script: str) -> None:
        (programs / "systemctl").write_text(f"#!/bin/sh\n{script}\n")
        (programs / "systemctl").chmod(0o755)

    return put


def printed(lab: Cluster, wishes: Wishes, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert run_service(lab, wishes, install=False) == 0
    text = capsys.readouterr().out
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name: value for name, _, value in pairs}


def test_the_only_node_here_is_meant(lab: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    unit = printed(lab, Wishes(None, run_as="daemon"), capsys)
    assert unit["Description"] == "shoal: node n1 of lab"
    assert unit["User"] == "daemon"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (ROOT / "cli.py", [sys.executable, str(ROOT / "cli.py")]),
        (ROOT / "__main__.py", [sys.executable, "-m", "shoal"]),
        (Path(sys.executable), [sys.executable]),
    ],
)
def test_it_runs_what_is_running(
    lab: Cluster,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    argv: Path,
    expected: list[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [str(argv)])
    command = shlex.split(printed(lab, Wishes("n1"), capsys)["ExecStart"])
    assert command == [*expected, "node", "n1", "--config", str(lab.path)]


def test_another_command_is_found_by_its_name(
    lab: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    command = shlex.split(printed(lab, Wishes("tracker", shoal="env 'A=1 2'"), capsys)["ExecStart"])
    assert command == [shutil.which("env"), "A=1 2", "tracker", "--config", str(lab.path)]


@pytest.mark.parametrize(
    ("shoal", "reason"),
    [
        ("no-such-program x", "there is no program no-such-program; name its path"),
        ("'", "No closing quotation; quote it as for a shell"),
        ("", "found no command"),
    ],
)
def test_a_command_that_is_none_is_refused(lab: Cluster, shoal: str, reason: str) -> None:
    with pytest.raises(OperatorError, match=reason):
        run_service(lab, Wishes("n1", shoal=shoal), install=False)


def test_a_home_is_that_of_who_runs_it(
    lab: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    theirs = for_user("daemon", lambda: load(lab.path))
    unit = printed(theirs, Wishes("tracker", run_as="daemon"), capsys)
    assert unit["ReadWritePaths"] == "/usr/sbin/state"
    with pytest.raises(OperatorError, match="there is no user no-such-user; make it first"):
        for_user("no-such-user", lambda: load(lab.path))


def test_without_systemd_nothing_is_installed(
    lab: Cluster, systemctl: Callable[[str], None]
) -> None:
    systemctl(RUNS_NOT)
    with pytest.raises(OperatorError, match="systemd does not run"):
        run_service(lab, Wishes("n1"), install=True)


def test_a_node_of_another_machine_is_not_installed(
    lab: Cluster, systemctl: Callable[[str], None]
) -> None:
    systemctl(RUNS)
    text = TEXT.replace("127.0.0.1", "192.0.2.1")
    lab.path.write_text(text)
    with pytest.raises(OperatorError, match="node n1 is on another machine"):
        run_service(load(lab.path), Wishes("n1"), install=True)


def test_what_is_not_installed_may_be_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_remove(tmp_path / "no-such-lab.yaml", Wishes("n1")) == 0
    assert capsys.readouterr().out == "shoal-no-such-lab-n1 was not installed\n"
    with pytest.raises(OperatorError, match="which service"):
        run_remove(tmp_path / "no-such-lab.yaml", Wishes(None))


def test_who_is_not_root_has_services_of_their_own(
    lab: Cluster,
    systemctl: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    systemctl(RUNS)
    (lab.path.parent / "bin" / "loginctl").symlink_to("/bin/true")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(lab.path.parent))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with pytest.raises(OperatorError, match="only root may install a unit that runs as daemon"):
        run_service(lab, Wishes("n1", run_as="daemon"), install=True)
    assert run_service(lab, Wishes("n1"), install=True) == 0
    told = capsys.readouterr()
    assert told.out.startswith("shoal-lab-n1 is installed, runs as this user, without anybody log")
    assert told.err == "start it now: systemctl --user start shoal-lab-n1\n"
    assert run_remove(lab.path, Wishes("n1")) == 0
    assert capsys.readouterr().out == "shoal-lab-n1 is removed\n"


def test_one_of_installing_and_removing_is_asked_for(lab: Cluster) -> None:
    command = [sys.executable, str(ROOT / "cli.py"), "service", "n1", "--config", str(lab.path)]
    done = subprocess.run(
        [*command, "--install", "--remove"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2, done
    assert done.stderr == "error: --install and --remove: give one of them\n"
