"""Packages for hosts unlike this one: pip has a folder here instead of an index."""

import zipfile
from pathlib import Path

import msgspec
import pytest
from shoal.hosts.distributions import Shoal
from shoal.hosts.machine import Machine
from shoal.hosts.wheels import fetched
from shoal.protocol.errors import OperatorError

SHOAL = Shoal({"shoal/cli.py": b""}, ["thing>=1"], [])
THERE = Machine("/usr/bin/python3", (3, 12), "CPython", "linux-aarch64", "glibc", "2.28")
TAGS = (
    "cp311-cp311-manylinux_2_17_aarch64",
    "cp312-cp312-manylinux_2_17_aarch64",
    "cp312-cp312-manylinux_2_17_x86_64",
    "cp312-cp312-musllinux_1_2_aarch64",
    "cp312-cp312-manylinux_2_31_aarch64",
)


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pip find one version of a package, built for several machines."""
    for tag in TAGS:
        with zipfile.ZipFile(tmp_path / f"thing-1.0-{tag}.whl", "w") as archive:
            archive.writestr("thing/tag.txt", tag)
            info = "thing-1.0.dist-info"
            archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0")
            archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
            archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({}, TAGS[1]),
        ({"version": (3, 11)}, TAGS[0]),
        ({"platform": "linux-x86_64"}, TAGS[2]),
        ({"libc": "musl", "libc_version": ""}, TAGS[3]),
        ({"libc_version": "2.36"}, TAGS[4]),
    ],
)
def test_what_fits_the_host_is_fetched(changes: dict[str, object], tag: str) -> None:
    files = fetched(SHOAL, msgspec.structs.replace(THERE, **changes))
    assert files["thing/tag.txt"] == tag.encode()
    assert "thing-1.0.dist-info/METADATA" in files
    assert files["shoal/cli.py"] == b""


def test_what_is_nowhere_is_named_with_the_machine_and_the_remedy() -> None:
    words = (
        r"cannot get packages for Python 3.13 on aarch64 \(glibc\): .*thing.*; see that .*--pyth"
    )
    with pytest.raises(OperatorError, match=words):
        fetched(SHOAL, msgspec.structs.replace(THERE, version=(3, 13)))
