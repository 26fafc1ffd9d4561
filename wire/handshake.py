"""Why a server did not let us in, for the operator. libzmq itself only says that it did not."""

import contextlib
import socket

import zmq
from shoal.protocol import addresses
from shoal.protocol.errors import NotAllowedError
from shoal.protocol.keyring import Towards
from shoal.wire.host_names import HOST_NAMES, HostNameError

LIMIT_S = 0.5
_SIGNATURE = b"\xff" + bytes(8) + b"\x7f\x03"  # ZMTP 3, of which the rest would come next.
_MECHANISM = slice(12, 32)
_GREETING_BYTES = 64


def mechanism_at(address: str) -> str | None:
    """Return the mechanism that a server announces: NULL, or CURVE if it demands keys.

    None if it does not say, within LIMIT_S or at all.
    """
    got = b""
    with contextlib.suppress(OSError, ValueError, HostNameError):
        place = addresses.split(HOST_NAMES.find(address) or "")
        with socket.create_connection(place, timeout=LIMIT_S) as opened:
            opened.sendall(_SIGNATURE)
            while len(got) < _GREETING_BYTES and (more := opened.recv(_GREETING_BYTES)):
                got += more
    if len(got) < _GREETING_BYTES or got[0] != _SIGNATURE[0]:
        return None
    return got[_MECHANISM].rstrip(b"\0").decode("ascii", "replace")


def refusal(address: str, at: str, event: int, towards: Towards | None) -> NotAllowedError | None:
    """Return the error for a tracker with which a handshake failed; None if keys are not why.

    Args:
        address: the tracker's, as the cluster file has it.
        at: the same in numbers.
        event: the monitor's, one of sockets.HANDSHAKE_FAILED.
        towards: with which keys it was tried.
    """
    tracker = f"the tracker at {address}"
    if towards is not None and event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return NotAllowedError(
            f"{tracker} does not accept the key of {towards.name}; add it to the tracker's "
            "cluster file, then have the tracker reload that (SIGHUP)"
        )
    match mechanism_at(at), towards:
        case "CURVE", None:
            problem = "lets in only those with keys, and the cluster file has none"
            remedy = "use the cluster file that the tracker uses, with the keys in it"
        case "CURVE", _:
            problem = "does not use the key that the cluster file has for it"
            remedy = "use the cluster file that the tracker uses"
        case "NULL", Towards():
            problem = "does not use keys, although the cluster file has some"
            remedy = "restart the tracker with this cluster file"
        case _:
            return None
    return NotAllowedError(f"{tracker} {problem}; {remedy}")
