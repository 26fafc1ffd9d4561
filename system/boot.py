"""Which run of the machine this is: what was only in memory is lost between two of them."""

import secrets
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return a text that is another after each start of the machine; if unknown, each time."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return secrets.token_hex(16)
