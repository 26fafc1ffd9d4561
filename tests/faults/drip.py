"""A peer whose bytes come at 1 kB/s: passes on what a real one sends, drop by drop."""

import contextlib
import selectors
import socket
import time

from tests.faults.background import Background

DRIP_BYTES, DRIP_S = 100, 0.1
LOOK_S = 0.02


class Drip(Background):
    """Listens at `address`, while its context lasts, and connects to the real peer's port."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._partners: dict[socket.socket, socket.socket] = {}
        self._drips_at: dict[socket.socket, float] = {}  # For those towards the real peer.

    def close(self) -> None:
        for each in [self._listener, *self._partners]:
            each.close()
        self._selector.close()

    def run(self) -> None:
        while not self.is_over.is_set():
            for key, _ in self._selector.select(LOOK_S):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._partners and key.fileobj not in self._drips_at:
                    assert isinstance(key.fileobj, socket.socket)
                    self._pass_on(key.fileobj, 1 << 16)
            now = time.monotonic()
            for end, drips_at in list(self._drips_at.items()):
                if drips_at <= now and end in self._drips_at:
                    self._drips_at[end] = now + DRIP_S
                    self._pass_on(end, DRIP_BYTES)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        real = socket.create_connection(("127.0.0.1", self._port))
        for one, other in ((client, real), (real, client)):
            one.settimeout(0)
            self._partners[one] = other
        self._selector.register(client, selectors.EVENT_READ)
        self._drips_at[real] = 0.0

    def _pass_on(self, end: socket.socket, most_bytes: int) -> None:
        """Move what one end has sent to the other; if one is gone, so is the other."""
        try:
            data = end.recv(most_bytes)
            if data:
                self._partners[end].send(data)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._hang_up(end)

    def _hang_up(self, end: socket.socket) -> None:
        for each in (end, self._partners[end]):
            with contextlib.suppress(KeyError):
                self._selector.unregister(each)
            self._drips_at.pop(each, None)
            self._partners.pop(each)
            each.close()
