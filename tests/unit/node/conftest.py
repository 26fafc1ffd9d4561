"""What tests begin with: a context, which must be empty in the end; room for deep directories."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.unit.node.company import Company, Member


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield context
    left_open = [sock for sock in context._sockets if not sock.closed]
    context.destroy(linger=0)
    assert not left_open


@pytest.fixture
def asker(company: Company) -> Member:
    """Give a node that has nothing, in the company of a module that has one."""
    return company.join("asks")


@pytest.fixture
def deep_path(memory_path: Path) -> Iterator[Path]:
    """Give a directory in which others may be nested a thousand deep.

    It is removed here: pytest recurses when it cleans up, and would fail.
    """
    place = memory_path / "deep"
    place.mkdir()
    yield place
    subprocess.run(["rm", "-rf", place], check=True)


@pytest.fixture
def other_disk() -> Iterator[Path]:
    """Give a directory on another file system than the tests' usual one."""
    place = Path("/dev/shm") / f"shoal-{os.getpid()}"  # noqa: S108 (a directory of its own)
    if not place.parent.is_dir():
        pytest.skip("there is no second file system here")
    place.mkdir()
    yield place
    subprocess.run(["rm", "-rf", place], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a directory on a file system of its own, of 512 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "none", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)
