"""What `shoal check` says of keys."""

from pathlib import Path

import pytest
from shoal.api.keys import KeyWishes, make_keys
from shoal.commands.key_check import key_findings
from shoal.config.cluster import load

HERE = """\
tracker: {address: tcp://127.0.0.1:12000}
nodes:
  n1: {address: tcp://127.0.0.1:11001, folder: one}
"""
ABROAD = """\
tracker: {address: tcp://198.51.100.6:12000}
nodes:
  n1: {address: tcp://198.51.100.7:11001, folder: one}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A cluster on this machine, with keys."""
    path = tmp_path / "lab.yaml"
    path.write_text(HERE)
    make_keys(path, KeyWishes(readers=("laptop",)))
    return path


def found(path: Path) -> list[str]:
    """Return each finding as a line, without the path of its folder."""
    findings = key_findings(load(path))
    lines = [f"{finding.state}: {finding.thing}: {finding.message}" for finding in findings]
    return [line.replace(f"{path.parent}/", "") for line in lines]


def secret(path: Path, name: str) -> Path:
    return path.parent / "lab.keys" / f"{name}.key"


def test_without_keys_it_says_who_can_reach_the_ports(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(HERE)
    assert found(path) == ["ok: keys: none; only this machine can reach the ports"]
    path.write_text(ABROAD)
    (line,) = found(path)
    assert line.startswith("note: keys: none: anybody who can reach the ports can read")
    assert line.endswith("run `shoal keys`")


def test_all_is_well(lab: Path) -> None:
    assert found(lab) == ["ok: keys: 4 in the cluster file; the secrets here are safe"]


def test_a_secret_that_others_can_read_is_reported(lab: Path) -> None:
    secret(lab, "laptop").chmod(0o644)
    (line,) = found(lab)
    assert line.startswith("wrong: key of laptop: lab.keys/laptop.key: others may read or change")


def test_a_secret_of_another_key_is_reported(lab: Path) -> None:
    secret(lab, "n1").write_bytes(secret(lab, "tracker").read_bytes())
    (line,) = found(lab)
    assert line.startswith("wrong: key of n1: lab.keys/n1.key does not belong to the key of n1")


@pytest.mark.parametrize(("name", "count"), [("n1", 1), ("tracker", 1), ("laptop", 0)])
def test_a_secret_is_missed_only_where_its_role_runs(lab: Path, name: str, count: int) -> None:
    secret(lab, name).unlink()
    lines = [line for line in found(lab) if line.startswith("wrong")]
    assert len(lines) == count
    assert all(
        f"wrong: key of {name}: lab.keys/{name}.key: no such secret" in line for line in lines
    )


def test_secrets_of_other_machines_are_not_missed(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(ABROAD)
    make_keys(path, KeyWishes())
    for name in ("tracker", "n1"):
        secret(path, name).unlink()
    assert found(path) == ["ok: keys: 3 in the cluster file; the secrets here are safe"]


def test_who_has_no_key_is_reported(lab: Path) -> None:
    text = lab.read_text().replace("laptop:", "phone: {folder: a}\n  laptop:")
    more = "  n2: {address: tcp://127.0.0.1:11002, folder: two}\n"
    lab.write_text(text.replace("nodes:\n", f"nodes:\n{more}"))
    assert found(lab)[:2] == [
        "wrong: node n2: has no key, and is not let in; run `shoal keys`",
        "wrong: reader phone: has no key, and is not let in; run `shoal keys`",
    ]


def test_a_folder_that_others_may_change_is_reported(lab: Path) -> None:
    (lab.parent / "lab.keys").chmod(0o770)
    assert found(lab) == ["wrong: keys: lab.keys: others may change it; run `chmod go-w lab.keys`"]


def test_a_cluster_file_that_others_may_change_is_reported(lab: Path) -> None:
    lab.chmod(0o664)
    assert found(lab) == ["wrong: keys: lab.yaml: others may change it; run `chmod go-w lab.yaml`"]


def test_a_secret_that_nobody_needs_any_more_is_noted(lab: Path) -> None:
    secret(lab, "n9").write_text("old")
    assert found(lab) == [
        "note: key of n9: lab.keys/n9.key belongs to no key in the cluster file; remove it"
    ]
