"""Keys as text: `curve:` and 64 hex digits, of Curve25519. Makes none and reads no files."""

import re
from typing import NamedTuple

PUBLIC, SECRET = "curve:", "curve-secret:"
PATTERN = r"^curve:[0-9a-f]{64}\Z"
_KEY = re.compile(r"(curve|curve-secret):([0-9a-f]{64})")


class KeyPair(NamedTuple):
    """The two keys of one party, 32 bytes each, as ZeroMQ takes them."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        """Show the public key alone: what is printed or logged must not give the secret away."""
        return f"KeyPair({public_text(self.public)})"


def public_text(key: bytes) -> str:
    return PUBLIC + key.hex()


def secret_text(key: bytes) -> str:
    return SECRET + key.hex()


def public_in(text: str) -> bytes:
    """Return the public key that a text is; ValueError, which never shows the text, if none."""
    return _key_in(text, PUBLIC)


def secret_in(text: str) -> bytes:
    """Return the secret key that a text is; ValueError, which never shows the text, if none."""
    return _key_in(text, SECRET)


def _key_in(text: str, prefix: str) -> bytes:
    match = _KEY.fullmatch(text)
    if match is None or text[: len(prefix)] != prefix:
        raise ValueError(f"is not of the form {prefix} and 64 of 0-9, a-f")
    return bytes.fromhex(match[2])
