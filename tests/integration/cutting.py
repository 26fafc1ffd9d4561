"""A TCP relay that cuts connections at chosen moments: before a request arrives, or its reply."""

import contextlib
import random
import socket
import threading

ROOM_BYTES = 1 << 20


class Cutting:
    """Relays to a port. Each request has a chance to be lost, and each reply. `close` ends it."""

    def __init__(self, port: int, seed: int) -> None:
        self.request_loss = self.reply_loss = 0.0
        self._to = port
        self._rng = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._relay, args=(client,)))
                self._threads[-1].start()

    def _relay(self, client: socket.socket) -> None:
        """Take turns: redis-py sends a whole request, and then waits for all of its reply."""
        with client, socket.create_connection(("127.0.0.1", self._to)) as server:
            back = threading.Thread(target=self._back, args=(server, client))
            back.start()
            with contextlib.suppress(OSError):
                while request := client.recv(ROOM_BYTES):
                    if self._rng.random() < self.request_loss:
                        break
                    server.sendall(request)
            for each in (server, client):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            back.join()

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while reply := server.recv(ROOM_BYTES):
                if self._rng.random() < self.reply_loss:
                    break
                client.sendall(reply)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
