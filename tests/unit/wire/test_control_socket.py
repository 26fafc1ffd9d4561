"""How a command reaches the node that owns a folder."""

import os
import stat
from pathlib import Path
from typing import TypeAlias

import zmq
from shoal.wire import control_socket

from tests.unit.wire.places import LIMIT_S

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


def test_a_long_path_gets_a_short_one(context: Context, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    (folder / ".shoal").mkdir(parents=True)
    place = control_socket.place_of(folder)
    assert len(str(place)) <= control_socket.MAX_SOCKET_PATH_BYTES
    assert place != control_socket.place_of(tmp_path / ("y" * 100))
    talk(context, folder)
    place.unlink(missing_ok=True)


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
