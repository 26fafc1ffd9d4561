"""What is to lie on another file system is not put on the bare mount point."""

from pathlib import Path

import pytest
from shoal.node.folder.mounts import require_mounted
from shoal.protocol.errors import DiskError, OperatorError


def listed(tmp_path: Path, *mount_points: str) -> Path:
    fstab = tmp_path / "fstab"
    lines = [
        f"/dev/sdb{number} {path} ext4 defaults 0 2" for number, path in enumerate(mount_points)
    ]
    fstab.write_text(
        "\n".join(["# /dev/sda1 /srv", "", "none", *lines, "/dev/sdc none swap sw 0 0"])
    )
    return fstab


@pytest.mark.parametrize("inside", ["", "shoal/n1"])
def test_a_bare_mount_point_is_refused(tmp_path: Path, inside: str) -> None:
    place = tmp_path / "data disk"
    place.mkdir()
    fstab = listed(tmp_path, "/", str(place).replace(" ", r"\040"))
    with pytest.raises(OperatorError, match=r"data disk is not mounted; mount it") as refused:
        require_mounted(place / inside, fstab)
    assert isinstance(refused.value, DiskError)


def test_all_else_is_not(tmp_path: Path) -> None:
    require_mounted(tmp_path, listed(tmp_path, "/", "/proc", f"{tmp_path}/elsewhere"))
    require_mounted(Path("/proc/self"), listed(tmp_path, "/proc"))  # It is mounted.
    require_mounted(tmp_path, tmp_path / "no such list")
