"""What pyzmq itself does with CURVE: messages of 1 MiB over one or several connections.

Nothing is read from a disk, verified or written. Run as a module, it is one server or the client.
"""

import importlib.metadata
import sys
import time

import zmq

from tests.benchmark.processes import Child, wait_until
from tests.benchmark.transfer import Transfer, run_client
from tests.benchmark.workspace import Workspace

MESSAGE_BYTES = 1 << 20
OUTSTANDING = 4  # Requests on each connection, as many as shoal begins with.
COMMAND = [sys.executable, "-m", "tests.benchmark.curve_messages"]


class CurveMessages:
    """A client that has as many bytes sent to it as the file has, from so many servers."""

    def __init__(self, workspace: Workspace, servers: int) -> None:
        self.name = f"pyzmq-curve-{servers}"
        self._workspace = workspace
        self._ports = [workspace.free_port() for _ in range(servers)]
        self._servers: list[Child] = []

    def version(self) -> str:
        return f"pyzmq {importlib.metadata.version('pyzmq')}, libzmq {zmq.zmq_version()}"

    def start(self) -> None:
        for port in self._ports:
            command = [*COMMAND, "serve", str(port)]
            self._servers.append(self._workspace.children.start(f"{self.name}-{port}", command))
        for server in self._servers:
            wait_until(lambda: bool(server.output()), "listening pyzmq", [server])  # noqa: B023

    def transfer(self) -> Transfer:
        keys = [server.output().strip() for server in self._servers]
        servers = [f"{port}={key}" for port, key in zip(self._ports, keys, strict=True)]
        count = -(-self._workspace.size_bytes // MESSAGE_BYTES)
        argv = [*COMMAND, "receive", str(count), *servers]
        cost, output = run_client(self._workspace.children, self.name, argv, self._servers)
        return Transfer(size_bytes=count * MESSAGE_BYTES, transfer_s=float(output), cost=cost)


def serve(port: int) -> None:
    """Answer each request with the same message; print the public key."""
    public, secret = zmq.curve_keypair()
    router = zmq.Context().socket(zmq.ROUTER)
    router.setsockopt(zmq.CURVE_SERVER, 1)
    router.setsockopt(zmq.CURVE_SECRETKEY, secret)
    router.bind(f"tcp://127.0.0.1:{port}")
    print(public.hex(), flush=True)
    message = bytes(MESSAGE_BYTES)
    while True:
        route, *_ = router.recv_multipart()
        router.send_multipart([route, message], copy=False)


def receive(count: int, servers: list[str]) -> None:
    """Receive so many messages from all servers together; print how long that took."""
    public, secret = zmq.curve_keypair()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    poller = zmq.Poller()
    began = time.monotonic()
    unasked = count
    for server in servers:
        port, _, key = server.partition("=")
        dealer = context.socket(zmq.DEALER)
        for option, value in (
            (zmq.CURVE_SERVERKEY, bytes.fromhex(key)),
            (zmq.CURVE_PUBLICKEY, public),
            (zmq.CURVE_SECRETKEY, secret),
        ):
            dealer.setsockopt(option, value)
        dealer.connect(f"tcp://127.0.0.1:{port}")
        poller.register(dealer, zmq.POLLIN)
        for _ in range(min(OUTSTANDING, unasked)):
            dealer.send(b"more")
            unasked -= 1
    while count:
        for dealer, _ in poller.poll():
            dealer.recv(copy=False)
            count -= 1
            if unasked:
                dealer.send(b"more")
                unasked -= 1
    print(time.monotonic() - began)
    context.destroy(linger=0)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        receive(int(sys.argv[2]), sys.argv[3:])
