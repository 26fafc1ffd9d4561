"""The rate that a network card reports. Measures nothing, and believes only physical cards."""

import fcntl
import socket
import struct
from pathlib import Path

_CARDS = Path("/sys/class/net")
_GET_ADDRESS = 0x8915  # SIOCGIFADDR, netdevice(7).
_REQUEST = struct.Struct("=16s2xH4s8x")  # struct ifreq: the name, then a port, and an address.
_MEGABIT_BYTES = 125_000


def of(address: str, cards: Path = _CARDS) -> float | None:
    """Return the rate, in bytes per second, of the card that has one of our IPv4 addresses.

    None if it is unknown: a virtual card (without `device`) reports anything, and one that is not
    plugged in reports -1.
    """
    for card in sorted(cards.iterdir()) if cards.is_dir() else ():
        if (card / "device").exists() and _address_of(card.name) == address:
            return _rate_of(card)
    return None


def _rate_of(card: Path) -> float | None:
    try:
        megabits = int((card / "speed").read_text())
    except (OSError, ValueError):
        return None
    return float(megabits * _MEGABIT_BYTES) if megabits > 0 else None


def _address_of(name: str) -> str | None:
    asked = _REQUEST.pack(name.encode()[:15], 0, b"")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            told = fcntl.ioctl(any_socket, _GET_ADDRESS, asked)
        except OSError:
            return None
    return socket.inet_ntoa(_REQUEST.unpack(told)[2])
