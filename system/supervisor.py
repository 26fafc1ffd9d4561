"""The service manager that started this process, if one did: systemd's sd_notify(3).

Not what there is to tell it, which is commands.supervised's.
"""

import os
import socket
from collections.abc import Mapping

SEND_S = 1.0  # A manager that is stuck must not hold us up.


class Supervisor:
    """Where to tell how things are; nothing happens if nobody wants to know."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Take the place from `environ`: a socket's path, or `@` and the name of an abstract one.

        `watchdog_s` is how long we may be silent, None if that is not limited.
        """
        place = environ.get("NOTIFY_SOCKET", "")
        self._place = "\0" + place[1:] if place.startswith("@") else place
        is_for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        limit_us = environ.get("WATCHDOG_USEC", "")
        has_limit = self.is_there and is_for_us and limit_us.isdecimal() and int(limit_us) > 0
        self.watchdog_s = int(limit_us) / 1e6 if has_limit else None

    @property
    def is_there(self) -> bool:
        return self._place[:1] in {"/", "\0"}

    def tell(self, **fields: str | int) -> None:
        """Send fields of sd_notify, such as READY=1. Whether it arrives is not our trouble."""
        if not self.is_there:
            return
        lines = (f"{name}={' '.join(str(value).split())}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(SEND_S)
                sock.sendto("\n".join(lines).encode(), self._place)
        except OSError:
            pass
