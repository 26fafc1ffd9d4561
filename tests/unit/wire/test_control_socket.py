"""How a command reaches the node that owns a folder."""

import os
import socket
import stat
from pathlib import Path
from typing import TypeAlias

import pytest
import zmq
from shoal.wire import control_socket

from tests.unit.wire.places import LIMIT_S, eventually

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
LIMIT_MS = int(1000 * LIMIT_S)


def talk(context: Context, folder: Path) -> None:
    node = control_socket.node_end(context, folder)
    command = control_socket.command_end(context, folder)
    command.send_multipart([b"tag", b"", b"order"])
    assert node.poll(LIMIT_MS)
    route, *frames = node.recv_multipart()
    assert frames == [b"tag", b"", b"order"]
    node.send_multipart([route, b"tag", b"", b"report"])
    assert command.poll(LIMIT_MS)
    assert command.recv_multipart() == [b"tag", b"", b"report"]
    assert control_socket.takes_orders(folder)
    command.close()
    node.close()


def test_a_command_and_a_node_find_each_other(context: Context, tmp_path: Path) -> None:
    (tmp_path / ".shoal").mkdir()
    talk(context, tmp_path)
    talk(context, tmp_path)  # What the first left behind is in nobody's way.


def test_it_is_in_the_folder_however_long_its_path_is(context: Context, tmp_path: Path) -> None:
    folders = [tmp_path / (letter * 200) for letter in "xy"]
    for folder in folders:
        assert not control_socket.takes_orders(folder)
        (folder / ".shoal").mkdir(parents=True)
        assert not control_socket.takes_orders(folder)
        talk(context, folder)
        talk(context, folder)
    node = control_socket.node_end(context, folders[0])
    assert [path.name for path in (folders[0] / ".shoal").iterdir()] == ["control"]
    assert control_socket.takes_orders(folders[0])
    node.close()
    eventually(lambda: not any(map(control_socket.takes_orders, folders)))


def test_a_folder_that_was_made_again_is_another(context: Context, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 200)
    (folder / ".shoal").mkdir(parents=True)
    talk(context, folder)
    folder.rename(tmp_path / "before")
    (folder / ".shoal").mkdir(parents=True)
    talk(context, folder)
    assert control_socket.place_of(folder).parent.is_dir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("length", [5, 200])
def test_somebody_else_s_socket_takes_no_orders(tmp_path: Path, length: int) -> None:
    folder = tmp_path / ("x" * length)
    (folder / ".shoal").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as squatter:
        here = os.open(folder / ".shoal", os.O_PATH)
        squatter.bind(f"/proc/self/fd/{here}/control")
        os.close(here)
        os.seteuid(65534)  # Of whom listens, Linux remembers who it was then.
        try:
            squatter.listen()
        finally:
            os.seteuid(0)
        assert not control_socket.takes_orders(folder)
        os.chown(folder, 65534, 65534)
        assert control_socket.takes_orders(folder)


def test_one_folder_has_one_place_however_it_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "n1"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    place = control_socket.place_of(folder)
    assert control_socket.place_of(tmp_path / "link") == place
    assert control_socket.place_of(folder / ".." / "n1") == place
    assert control_socket.place_of(Path(os.path.relpath(folder))) == place


def test_nobody_else_may_give_orders(context: Context, tmp_path: Path) -> None:
    (tmp_path / ".shoal").mkdir()
    node = control_socket.node_end(context, tmp_path)
    assert stat.S_IMODE(control_socket.place_of(tmp_path).stat().st_mode) == 0o600
    node.close()


def test_nobody_takes_orders_where_no_node_runs(tmp_path: Path) -> None:
    assert not control_socket.takes_orders(tmp_path)
    (tmp_path / ".shoal").mkdir()
    (tmp_path / ".shoal" / "control").write_bytes(b"")
    assert not control_socket.takes_orders(tmp_path)
