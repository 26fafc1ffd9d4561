"""Which folders are only read."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shoal.api.folders import is_read_only, writable_of
from shoal.config.cluster import NodeEntry

from tests.unit.node.users import needs_root

MOUNTED = """
mount --bind "$1" "$2" && mount -o remount,ro,bind "$2" && exec "$3" -c "
import sys; from tests.unit.api.test_read_only import entry, is_read_only; from pathlib import Path
print(*(is_read_only(entry(Path(one))) for one in sys.argv[1:]))" "$1" "$2"
"""


def entry(folder: Path, *, read_only: bool = False) -> NodeEntry:
    state = folder.parent / "state"
    return NodeEntry("n1", "", folder, state_folder=state, read_only=read_only)


def test_the_cluster_file_may_say_so(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    assert not is_read_only(entry(folder))
    assert not is_read_only(entry(tmp_path / "nowhere"))
    assert writable_of(entry(folder)) == folder
    assert is_read_only(entry(folder, read_only=True))
    assert writable_of(entry(folder, read_only=True)) == tmp_path / "state"


@needs_root
def test_what_is_mounted_so_is_noticed(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    (tmp_path / "data").mkdir()
    (tmp_path / "mounted").mkdir()
    places = str(tmp_path / "data"), str(tmp_path / "mounted")
    command = ["unshare", "-m", "sh", "-c", MOUNTED, "sh", *places, sys.executable]
    root = Path(__file__).parents[3]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=root, env=os.environ
    )
    if "unshare failed" in done.stderr:
        pytest.skip("this container has no mounts of its own")
    assert done.stdout.split() == ["False", "True"], done.stderr
