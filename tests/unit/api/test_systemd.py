"""Units are put where systemd finds them. It does not run here: systemctl has a stand-in."""

import os
from pathlib import Path

import pytest
from shoal.api import systemd
from shoal.config.units import Unit
from shoal.protocol.errors import NotAllowedError, OperatorError, UnavailableError

from tests.multihost import stand_in_systemctl

TEXT = "# made by `shoal service`\n[Unit]\n"


class Machine:
    """Where programs are that stand for systemd's, and what they were asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._programs = folder / "bin"
        self._programs.mkdir()
        self._state = folder / "manager"
        for name in ("systemctl", "loginctl"):
            (self._programs / name).symlink_to(stand_in_systemctl.__file__)
        monkeypatch.setenv("PATH", f"{self._programs}:{os.environ['PATH']}")
        monkeypatch.setenv("SHOAL_STAND_IN", str(self._state))
        monkeypatch.setenv("HOME", str(folder))
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        monkeypatch.setattr(systemd, "SYSTEM", folder / "system")

    def replace(self, name: str, script: str) -> None:
        place = self._programs / name
        place.unlink()
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)

    def calls(self) -> list[str]:
        place = self._state / "calls"
        lines = place.read_text().splitlines()
        place.unlink()
        return [line for line in lines if "is-system-running" not in line]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def own(machine: Machine) -> Unit:
    return Unit("shoal-lab-n1", TEXT, (machine.folder / "a" / "b",), None)


def test_a_users_own_unit_is_installed_once_and_taken_off(machine: Machine) -> None:
    unit = own(machine)
    place = machine.folder / ".config" / "systemd" / "user" / "shoal-lab-n1.service"
    assert systemd.install(unit) is False
    assert place.read_text() == TEXT
    assert unit.folders[0].is_dir()
    enable = "--user enable shoal-lab-n1"
    assert machine.calls() == ["enable-linger", "--user daemon-reload", enable]
    assert systemd.install(unit) is True
    assert machine.calls() == ["enable-linger", enable]
    assert systemd.start_command(unit) == "systemctl --user start shoal-lab-n1"
    assert systemd.remove(unit) is True
    assert not place.exists()
    assert machine.calls() == ["--user disable --now shoal-lab-n1", "--user daemon-reload"]
    assert systemd.remove(unit) is False


def test_a_system_units_folder_is_its_users(machine: Machine) -> None:
    machine.replace("systemctl", "echo running")
    folder = machine.folder / "srv"
    unit = Unit("shoal-lab-n1", TEXT, (folder,), "daemon" if os.geteuid() == 0 else None)
    assert systemd.install(unit) is False
    if os.geteuid() == 0:
        assert folder.owner() == "daemon"
        assert systemd.place_of(unit) == machine.folder / "system" / "shoal-lab-n1.service"
        assert systemd.start_command(unit) == "systemctl start shoal-lab-n1"


def test_a_file_of_somebody_elses_stays(machine: Machine) -> None:
    unit = own(machine)
    place = systemd.place_of(unit)
    place.parent.mkdir(parents=True)
    place.write_text("[Unit]\n")
    for change in (systemd.install, systemd.remove):
        with pytest.raises(OperatorError, match="was not made by shoal; name another unit with"):
            change(unit)
    assert place.read_text() == "[Unit]\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo offline; echo 'not booted' >&2; exit 1", "not booted; start it another way"),
        ("echo offline; exit 1", "its state is offline"),
        ("exit 1", "its state is unknown"),
    ],
)
def test_without_systemd_nothing_is_installed(machine: Machine, script: str, reason: str) -> None:
    machine.replace("systemctl", script)
    unit = own(machine)
    with pytest.raises(OperatorError, match=reason):
        systemd.install(unit)
    assert not systemd.place_of(unit).exists()


def test_without_systemctl_nothing_is_installed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(machine.folder))
    with pytest.raises(OperatorError, match="for services of this user: there is no systemctl"):
        systemd.install(own(machine))


def test_a_users_service_must_outlive_the_login(machine: Machine) -> None:
    machine.replace("loginctl", "echo 'Could not enable linger: Access denied' >&2; exit 1")
    unit = own(machine)
    with pytest.raises(NotAllowedError, match="would end at logout: Could not enable linger: Acc"):
        systemd.install(unit)
    assert not systemd.place_of(unit).exists()


def test_what_systemd_refuses_is_told(machine: Machine) -> None:
    script = 'case $* in *running) echo running;; *enable*) echo "no such bus" >&2; exit 1;; esac'
    machine.replace("systemctl", script)
    with pytest.raises(UnavailableError, match="`systemctl enable shoal-lab-n1` failed: no such"):
        systemd.install(own(machine))
