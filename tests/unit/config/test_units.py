"""Units for systemd: what is in them, and what systemd itself says of them."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from shoal.config.cluster import load
from shoal.config.units import Unit, unit_name, unit_of

MOST_EXPOSURE = 5.0  # systemd says "OK" below it, "MEDIUM" from there on.
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd (apt install systemd)"
)
TEXT = """\
tracker: {address: tcp://192.0.2.1:12000, state_folder: "state 100%"}
nodes:
  n1: {address: tcp://192.0.2.1:11001, listen: tcp://0.0.0.0:80, folder: 'a $x "q" 50%'}
  n2: {address: tcp://192.0.2.1:11002, folder: two}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "my lab" / "lab.yaml"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def lines_of(text: str, name: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{name}=")]


def made(
    lab: Path, role: str, command: list[str], user: str | None, name: str | None = None
) -> Unit:
    cluster = load(lab)
    entry = cluster.trackers[0] if role == "tracker" else cluster.nodes[role]
    return unit_of(cluster, entry, command, user, name or unit_name("lab", role))


def test_a_unit_runs_a_role_and_may_write_in_its_folder_alone(lab: Path) -> None:
    unit = made(lab, "n2", ["/opt/shoal/bin/shoal"], "ann")
    assert unit.name == "shoal-lab-n2"
    (command,) = lines_of(unit.text, "ExecStart")
    assert shlex.split(command) == ["/opt/shoal/bin/shoal", "node", "n2", "--config", str(lab)]
    assert lines_of(unit.text, "User") == ["ann"]
    assert lines_of(unit.text, "ReadWritePaths") == [f'"{lab.parent}/two"']
    assert lines_of(unit.text, "CapabilityBoundingSet") == [""]
    tracker = made(lab, "tracker", ["/opt/shoal/bin/shoal"], "ann", "other")
    assert tracker.name == "other"
    assert lines_of(tracker.text, "ReadWritePaths") == [f'"{lab.parent}/state 100%%"']


def test_it_may_write_where_its_state_is_and_not_where_it_only_reads(lab: Path) -> None:
    own = "folder: /data, state_folder: /state, read_only: true"
    for text, written in ((own, "/state"), (own.replace("true", "false"), "/data /state")):
        lab.write_text(lab.read_text().partition("nodes:")[0] + "nodes: {n1: {address: ")
        lab.write_text(lab.read_text() + f"'tcp://10.0.0.2:11001', {text}}}}}\n")
        unit = made(lab, "n1", ["/opt/shoal/bin/shoal"], "ann")
        assert lines_of(unit.text, "ReadWritePaths") == [written]
        (mounts,) = lines_of(unit.text, "RequiresMountsFor")
        assert set(mounts.split()) == {"/data", "/state"}


def test_what_is_special_to_systemd_is_quoted(lab: Path) -> None:
    unit = made(lab, "n1", ["/bin/env", "A=$B", "100%"], "ann")
    (command,) = lines_of(unit.text, "ExecStart")
    assert command.startswith("/bin/env A=$$B 100%% node n1 --config ")
    assert lines_of(unit.text, "ReadWritePaths") == [f'"{lab.parent}/a $x \\"q\\" 50%%"']
    assert unit.folders == (lab.parent / 'a $x "q" 50%',)


@pytest.mark.parametrize(
    ("role", "user", "expected"),
    [
        ("n2", "root", "CAP_DAC_OVERRIDE"),
        ("n1", "root", "CAP_DAC_OVERRIDE CAP_NET_BIND_SERVICE"),
        ("n1", "ann", "CAP_NET_BIND_SERVICE"),
        ("tracker", "ann", ""),
    ],
)
def test_it_has_the_capabilities_that_it_needs(
    lab: Path, role: str, user: str, expected: str
) -> None:
    unit = made(lab, role, ["/bin/shoal"], user)
    assert lines_of(unit.text, "CapabilityBoundingSet") == [expected]


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [("lab", "shoal-lab-n1"), ("my lab@2", "shoal-my_lab_2-n1"), ("ü\\x", "shoal-__x-n1")],
)
def test_a_unit_s_name_is_told_by_the_cluster_file_s(cluster: str, expected: str) -> None:
    assert unit_name(cluster, "n1") == expected


@needs_systemd
@pytest.mark.parametrize("role", ["tracker", "n1", "n2"])
@pytest.mark.parametrize("user", ["root", None])
def test_systemd_finds_nothing_wrong(
    lab: Path, tmp_path: Path, role: str, user: str | None
) -> None:
    unit = made(lab, role, ["/bin/true", "it's"], user)
    place = tmp_path / f"{unit.name}.service"
    place.write_text(unit.text)
    manager = ["--user"] if user is None else []
    command = ["systemd-analyze", "verify", *manager, "--man=no", str(place)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    about_it = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (about_it, done.returncode) == ([], 0), done.stderr


@needs_systemd
def test_systemd_would_see_what_is_wrong(lab: Path, tmp_path: Path) -> None:
    unit = made(lab, "n1", ["/bin/true"], "root")
    place = tmp_path / f"{unit.name}.service"
    place.write_text(unit.text.replace("WatchdogSec=60", "WatchdogSec=soon"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(place)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Failed to parse sec value" in done.stderr


@needs_systemd
@pytest.mark.parametrize(
    ("role", "user"), [("tracker", "daemon"), ("n1", "daemon"), ("n2", "root")]
)
def test_a_system_unit_is_not_exposed(lab: Path, tmp_path: Path, role: str, user: str) -> None:
    unit = made(lab, role, ["/bin/true"], user)
    place = tmp_path / f"{unit.name}.service"
    place.write_text(unit.text)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(place)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (line,) = [one for one in done.stdout.splitlines() if "Overall exposure level" in one]
    assert float(line.split(": ")[1].split()[0]) < MOST_EXPOSURE, done.stdout
