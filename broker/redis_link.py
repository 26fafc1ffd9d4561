"""A connection to a Redis or Valkey server: transactions in one round trip, and plain errors.

Knows nothing of what is stored. Never sends anything twice: after a failure its owner decides.
"""

import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from shoal.broker.stores import NotSavedError
from shoal.protocol.errors import OperatorError

DEFAULT_PREFIX = "shoal"  # Of the keys; several clusters can share a server.
CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 3.0  # It may be silent while it saves. Another one: ?socket_timeout=5
MAX_REASON_CHARACTERS = 200
_PREFIX = "prefix"
_FILES = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}  # Options that name one.
_MISSING = "the Python package redis is not installed; run: pip install 'shoal[redis]'"

Command = tuple[str | bytes | int, ...]

_REASONS_BY_CLASS = {  # By the names of redis-py's classes, some of which its older releases lack.
    "OutOfMemoryError": "its memory is full",
    "ReadOnlyError": "it is a read-only replica",
    "AuthenticationError": "it refuses the password, or wants one",
    "NoPermissionError": "its user may not use these keys or commands",
    "BusyLoadingError": "it is still loading its data",
    "MasterDownError": "it is a replica that has lost its master",
    "InvalidResponse": "it is neither Redis nor Valkey",
    "MovedError": "it is part of a Redis Cluster, which is not supported",
    "AskError": "it is part of a Redis Cluster, which is not supported",
    "ClusterDownError": "it is part of a Redis Cluster, which is not supported",
}
_REASONS_BY_CODE = {  # By the first word of its answer.
    "WRONGTYPE": "its keys of that name are somebody else's; give shoal a ?prefix= of its own",
    "MISCONF": "it cannot save to its disk, and takes no changes until it can",
    "NOREPLICAS": "too few replicas follow it",
    "BUSY": "it is busy with somebody's script",
}


_REASONS_BY_CAUSE: dict[type[OSError], str] = {
    ConnectionRefusedError: "it refuses connections; is it running?",
    socket.gaierror: "its host name is unknown",
}


class Connection(Protocol):
    """What is used of redis-py's connections, which have no types."""

    socket_timeout: float

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def pack_commands(self, commands: Sequence["Command"]) -> Sequence[bytes]: ...
    def send_packed_command(self, command: Sequence[bytes], check_health: bool) -> None: ...  # noqa: FBT001 (as redis-py has it)
    def read_response(self) -> Any: ...


class Address(NamedTuple):
    """A store's URL, taken apart."""

    url: str  # For redis-py.
    prefix: str  # Of all keys.
    host: str  # And port, as messages show it.


class Link:
    """A connection, which is made when it is needed and closed after any failure."""

    def __init__(self, url: str, password: str | None) -> None:
        """`url` is redis:// or rediss://; its option `prefix` begins the keys' names.

        Raises:
            OperatorError: redis-py is not installed, or the URL is none of its.
        """
        self.address = _address(url)
        self._connection = _connection(self.address, password)
        self.is_open = False

    def open(self) -> None:
        """Connect; raises NotSavedError."""
        with self._failures():
            self._connection.connect()
            self.is_open = True

    def transaction(self, commands: Sequence[Command]) -> list[Any]:
        """Have all commands carried out together, and return their replies.

        Raises:
            NotSavedError: it may have been carried out all the same.
        """
        with self._failures():
            self._send([("MULTI",), *commands, ("EXEC",)])
            for _ in range(1 + len(commands)):
                self._connection.read_response()  # Raises what a command is refused with.
            replies: list[Any] = self._connection.read_response()
            for reply in replies or ():
                if isinstance(reply, Exception):
                    raise reply
            return replies  # None if a key that was watched has changed.

    def call(self, *command: str | bytes | int) -> Any:
        """Return the reply to one command; raises NotSavedError."""
        with self._failures():
            self._send([command])
            return self._connection.read_response()

    def close(self) -> None:
        self.is_open = False
        self._connection.disconnect()

    def _send(self, commands: Sequence[Command]) -> None:
        if not self.is_open:
            self._connection.connect()
            self.is_open = True
        packed = self._connection.pack_commands(commands)
        self._connection.send_packed_command(packed, check_health=False)

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Close the connection after any failure: it may have unread replies in it."""
        from redis.exceptions import RedisError  # noqa: PLC0415 (only where it is used)

        try:
            yield
        except (RedisError, OSError) as error:
            self.close()
            why = reason(error, self._connection.socket_timeout)
            raise NotSavedError(f"{self.address.host}: {why}") from error
        except BaseException:
            self.close()
            raise


def reason(error: BaseException, timeout_s: float) -> str:
    """Return in plain words why the server did not do what it was asked."""
    known = _REASONS_BY_CLASS.get(type(error).__name__)
    known = known or _REASONS_BY_CODE.get(str(error).partition(" ")[0])
    if known is not None:
        return known
    for cause in _causes(error):
        if isinstance(cause, TimeoutError):
            return f"it does not answer within {timeout_s:.3g} s"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({getattr(cause, 'verify_message', '') or cause.strerror})"
        if isinstance(cause, OSError):
            return _REASONS_BY_CAUSE.get(type(cause)) or cause.strerror or str(cause)
    text = " ".join(str(error).split())[:MAX_REASON_CHARACTERS]
    return "it closed the connection" if "closed by server" in text else text


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came of, the innermost last."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _address(url: str) -> Address:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    for name in _FILES & options.keys():
        with contextlib.closing(_opened(options[name])):
            pass
    prefix = options.pop(_PREFIX, DEFAULT_PREFIX)
    bare = urlunsplit(parts._replace(query=urlencode(options)))
    return Address(bare, prefix, parts.netloc.rpartition("@")[-1])


def _opened(file: str) -> IO[bytes]:
    try:
        return Path(file).open("rb")
    except OSError as error:
        message = f"cannot read {file}, which the store's URL names: {error.strerror}"
        raise OperatorError(f"{message}; correct it in the cluster file") from None


def _connection(address: Address, password: str | None) -> Connection:
    """Return a connection that is not open yet, and never tries again by itself."""
    try:
        import redis  # noqa: PLC0415 (an extra, and 0.3 s)
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415
    except ImportError:
        raise OperatorError(_MISSING) from None
    try:
        pool = redis.ConnectionPool.from_url(
            address.url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=ANSWER_TIMEOUT_S,
            socket_keepalive=True,
            client_name="shoal",
            **({} if password is None else {"password": password}),
        )
        return cast("Connection", pool.make_connection())
    except (ValueError, TypeError, redis.RedisError, OSError) as error:
        raise OperatorError(f"cannot use the store {address.host}: {error}") from None
