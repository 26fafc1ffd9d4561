"""Whether a running tracker or node is well and ready, as it says itself over HTTP."""

import http.client

import msgspec
from shoal.config.metrics import MetricsPlace
from shoal.protocol.errors import NobodyAliveError, TimedOutError
from shoal.protocol.names import display

MOST_BYTES = 64 << 10  # Of an answer: a few lines.
_OK, _UNWELL = 200, 503


class Health(msgspec.Struct, frozen=True):
    """What a process says of itself."""

    healthy: bool  # All its threads run, and all its loops turn.
    ready: bool  # It is healthy, and can do all its work.
    reasons: tuple[str, ...]  # Why not, a line each.


def health(place: MetricsPlace, timeout_s: float) -> Health:
    """Ask the process that serves its figures at a place of this machine.

    Raises:
        NobodyAliveError: nothing listens there, or something else does.
        TimedOutError: it took longer than `timeout_s` to answer a question.
    """
    reachable = place.within_reach
    unwell = _reasons(reachable, "/healthz", timeout_s)
    if unwell:
        return Health(healthy=False, ready=False, reasons=unwell)
    unready = _reasons(reachable, "/readyz", timeout_s)
    return Health(healthy=True, ready=not unready, reasons=unready)


def _reasons(place: MetricsPlace, path: str, timeout_s: float) -> tuple[str, ...]:
    connection = http.client.HTTPConnection(*place, timeout=timeout_s)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        body = reply.read(MOST_BYTES).decode(errors="replace")
    except TimeoutError:
        message = f"{place} does not answer within {timeout_s:g} s"
        raise TimedOutError(f"{message}; the process hangs, or its machine is overloaded") from None
    except ConnectionRefusedError:
        message = f"nothing listens at {place}; start the process"
        raise NobodyAliveError(f"{message}, with this cluster file or --metrics") from None
    except (OSError, http.client.HTTPException) as error:
        message = f"{place} cannot be asked: {display(str(error))}"
        raise NobodyAliveError(f"{message}; check what is running there") from None
    finally:
        connection.close()
    if reply.status not in {_OK, _UNWELL}:
        message = f"{place} answers something else ({reply.status})"
        raise NobodyAliveError(f"{message}; check what is running there")
    return tuple(body.splitlines()) if reply.status == _UNWELL else ()
