"""What the shell completes, asked as a shell asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from shoal.api.keys import KeyWishes, make_keys
from shoal.protocol.message import Message
from shoal.protocol.messages import File, Files, List

from tests.unit.api.trackers import tracker

CLI = Path(__file__).parents[3] / "cli.py"
ID = f"b3:{1:064x}"


def completed(config: Path, line: str) -> list[str]:
    """Return what bash is offered at the end of a line."""
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("SHOAL_")},
        "_SHOAL_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        "SHOAL_CONFIG": str(config),
    }
    run = subprocess.run([sys.executable, CLI], env=environ, capture_output=True, check=False)
    assert run.stderr == b""
    return run.stdout.decode().split()


def written(folder: Path, tracker_address: str) -> Path:
    path = folder / "lan.yaml"
    entries = [
        f"  n{one}: {{address: 'tcp://127.0.0.1:1100{one}', folder: n{one}}}" for one in (1, 2)
    ]
    entries += ["  other: {address: 'tcp://127.0.0.1:11003', folder: other}"]
    path.write_text("\n".join([f"tracker: {{address: '{tracker_address}'}}", "nodes:", *entries]))
    return path


def test_nodes_come_from_the_cluster_file(tmp_path: Path) -> None:
    config = written(tmp_path, "tcp://127.0.0.1:12000")
    assert completed(config, "shoal fetch --as n") == ["n1", "n2"]
    assert completed(config, "shoal node o") == ["other"]


def test_who_has_keys_comes_from_the_cluster_file(tmp_path: Path) -> None:
    config = written(tmp_path, "tcp://127.0.0.1:12000")
    make_keys(config, KeyWishes(readers=("notebook",)))
    assert completed(config, "shoal fetch --as n") == ["n1", "n2", "notebook"]
    assert completed(config, "shoal share --as n") == ["n1", "n2"]
    assert completed(config, "shoal keys --new n") == ["n1", "n2", "notebook"]
    assert completed(config, "shoal keys --new a") == ["admin"]


def test_things_come_from_the_tracker(tmp_path: Path) -> None:
    def answer(request: Message) -> Message:
        assert isinstance(request, List)
        names = [name for name in ("big.iso", "bird", "cat", "big\u202e") if name > request.after]
        files = [File(name, ID, 1, 0, newest=True, holders=()) for name in sorted(names)]
        return Files(tuple(files))

    with tracker(answer) as address:
        config = written(tmp_path, address)
        assert completed(config, "shoal fetch bi") == ["big.iso", "bird"]
        assert completed(config, "shoal where c") == ["cat"]


@pytest.mark.parametrize("line", ["shoal fetch a", "shoal fetch --as x"])
def test_it_never_fails(tmp_path: Path, line: str) -> None:
    assert completed(written(tmp_path, "tcp://127.0.0.1:1"), line) == []
    assert completed(tmp_path / "nothing.yaml", line) == []
