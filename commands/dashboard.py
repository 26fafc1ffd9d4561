"""`shoal dashboard`: serves a page that shows what the cluster is doing."""

import asyncio
import errno
import importlib.util
import logging
import os
import re
import socket
from typing import TYPE_CHECKING

from shoal.api.security import asking_ring
from shoal.commands import logs
from shoal.commands.exit_codes import ExitCode
from shoal.commands.stopping import Stopper
from shoal.commands.thread_guard import ThreadGuard
from shoal.config.cluster import Cluster
from shoal.protocol.addresses import MAX_PORT, is_loopback
from shoal.protocol.errors import Kind, OperatorError, UnavailableError
from shoal.protocol.keyring import Keyring
from shoal.protocol.names import display
from shoal.system import descriptors

if TYPE_CHECKING:
    import uvicorn
    from shoal.dashboard.streams import Streams
    from shoal.dashboard.watch import Watch

NEEDED = "starlette", "uvicorn"
MEGABIT_BYTES = 125_000
MOST_CONNECTIONS = 128
STOP_S = 1  # For answers that are on their way; the streams end at once.
_PLACE = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>\d{1,5})")

log = logging.getLogger("shoal")


def run_dashboard(
    cluster: Cluster, listen: str, as_name: str | None, link_mbit: float | None
) -> ExitCode:
    """Serve the page until a signal.

    Raises:
        OperatorError: a package is missing, the place is taken or makes no sense, or no secret is
            here that could be used.
    """
    require_packages()
    host, port = place_in(listen)
    ring = asking_ring(cluster, as_name)
    logs.set_up()
    with bound(host, port) as listening:
        url = url_of(host, listening.getsockname()[1])
        log.info("dashboard of %s at %s", display(str(cluster.path)), url)
        if not is_loopback(host):
            message = "whoever reaches this address can see names, sizes and nodes"
            log.warning("%s; by default only this machine can", message)
        rate = int((link_mbit or 0) * MEGABIT_BYTES)
        descriptors.raise_limit()
        _Dashboard(cluster, ring, rate).serve(listening, host)
    log.info("the dashboard has stopped")
    return ExitCode.DONE


def require_packages() -> None:
    """Raise OperatorError if the packages of the extra are not installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        packages = " and ".join(missing)
        raise OperatorError(
            f"the dashboard needs {packages}; run `pip install {' '.join(missing)}`"
        )


def place_in(text: str) -> tuple[str, int]:
    """Return the host and port in HOST:PORT.

    Raises:
        OperatorError: it has another form.
    """
    found = _PLACE.fullmatch(text.strip())
    if found is None or int(found["port"]) > MAX_PORT:
        message = f"--listen {display(text)}: expected HOST:PORT"
        raise OperatorError(f"{message}, as in 127.0.0.1:8080")
    return found["v6"] or found["host"], int(found["port"])


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Raises:
        UnavailableError: something else does, or the address is not this machine's.
        OperatorError: that cannot be.
    """
    place = url_of(host, port)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        message = f"cannot listen at {place}: {error.strerror}"
        raise OperatorError(f"{message}; use an address of this machine") from None
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(MOST_CONNECTIONS)
    except OSError as error:
        listening.close()
        is_usual = error.errno in {errno.EADDRINUSE, errno.EADDRNOTAVAIL}
        kind = UnavailableError if is_usual else OperatorError
        message = f"cannot listen at {place}: {os.strerror(error.errno or 0)}"
        raise kind(f"{message}; choose another place with --listen") from None
    return listening


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Dashboard:
    """The page's server and the thread that asks the tracker."""

    def __init__(self, cluster: Cluster, ring: Keyring | None, link_rate: int) -> None:
        self._told = cluster, ring, link_rate
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._streams: Streams | None = None
        self._watch: Watch | None = None
        self._is_over = False

    def serve(self, listening: socket.socket, host: str) -> None:
        """Serve until a signal, or until a thread dies (a BugError)."""
        Stopper(self._stop)
        with ThreadGuard(self._stop):
            asyncio.run(self._served(listening, host))

    async def _served(self, listening: socket.socket, host: str) -> None:
        import uvicorn  # noqa: PLC0415 (whoever lacks it is told before)
        from shoal.dashboard.guard import own_names  # noqa: PLC0415 (the same)
        from shoal.dashboard.site import site  # noqa: PLC0415 (the same)
        from shoal.dashboard.streams import Streams  # noqa: PLC0415 (the same)
        from shoal.dashboard.watch import Watch  # noqa: PLC0415 (the same)

        loop = self._loop = asyncio.get_running_loop()
        streams = self._streams = Streams()
        watch = self._watch = Watch(*self._told, streams, loop.call_soon_threadsafe)
        config = uvicorn.Config(
            site(streams, watch.hurry, own_names(host)),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http="h11",
            loop="asyncio",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=STOP_S,
            server_header=False,
        )
        server = self._server = uvicorn.Server(config)
        errors = logging.getLogger("uvicorn")
        errors.handlers[:], errors.propagate = log.handlers, False
        errors.setLevel(logging.ERROR)
        watch.start()
        try:
            if not self._is_over:  # A signal may have come meanwhile.
                await server.serve([listening])
        finally:
            watch.stop()

    def _stop(self, _: Kind) -> None:
        """End soon. Called from another thread, with any kind of reason."""
        self._is_over = True
        if self._watch is not None:
            self._watch.stop()
        if self._loop is not None and self._streams is not None:
            self._loop.call_soon_threadsafe(self._streams.end)
        if self._server is not None:
            self._server.should_exit = True
