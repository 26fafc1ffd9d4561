"""The store that trackers share: its place in a cluster file, and the password for it.

Connects to nothing. The password is looked for only where a tracker starts, or is checked.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from shoal.config.document import Value, shown
from shoal.config.folders import folder_at
from shoal.protocol import names
from shoal.protocol.errors import OperatorError

ENVIRONMENT_VARIABLE = "SHOAL_STORE_PASSWORD"
MAX_PASSWORD_BYTES = 4096
_URL = re.compile(
    r"(?P<scheme>rediss?)://(?:(?P<user>[^\s:@/]*)(?::(?P<password>[^\s@/]*))?@)?"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f.:]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<database>/[0-9]{1,4})?/?(?P<options>\?[!-~]*)?"
)
_EXPECTED = "redis://HOST:PORT/0, or rediss:// for TLS"
_SECRET = re.compile(r"//.*@")  # A password with a stray character in it must not be shown either.


class StorePlace(NamedTuple):
    """Where the store is, and what opens it."""

    url: str  # Without the password: it may be shown.
    password: str | None = None


class StoreEntry(NamedTuple):
    """The store, as the cluster file has it."""

    url: str  # Without the password.
    url_password: str | None = None  # The one that was in the URL.
    password_file: Path | None = None

    def place(self, environ: Mapping[str, str]) -> StorePlace:
        """Return the place with its password: the environment's, else the file's, else the URL's.

        Raises:
            OperatorError: the file cannot be read, or has no password in it.
        """
        given = environ.get(ENVIRONMENT_VARIABLE)
        if given:
            return StorePlace(self.url, given)
        if self.password_file is not None:
            return StorePlace(self.url, _read(self.password_file))
        return StorePlace(self.url, self.url_password)


def store_in(value: Value, base: Path) -> StoreEntry:
    """Return the store at `value`: a URL, or a mapping of that and a file with the password.

    A relative path is relative to `base`.

    Raises:
        OperatorError: it is neither.
    """
    if not value.is_mapping:
        return StoreEntry(*_url(value))
    fields = value.fields(("url",), ("password_file",))
    url, password = _url(fields["url"])
    file = fields.get("password_file")
    if file is not None and password is not None:
        raise fields["url"].error("found a password", "expected it in password_file alone")
    return StoreEntry(url, password, None if file is None else folder_at(file, base))


def _url(value: Value) -> tuple[str, str | None]:
    """Return the URL without its password, and the password."""
    text = value.text(_EXPECTED)
    found = _URL.fullmatch(text)
    if found is None or not 0 < int(found["port"] or 1) <= 65535:  # noqa: PLR2004 (a port)
        hidden = shown(_SECRET.sub("//…@", text))
        raise value.error(f"found {hidden}", f"expected {_EXPECTED}")
    password = found["password"]
    if not password:
        return text, None
    from urllib.parse import unquote  # noqa: PLC0415 (2 ms, and few have a password there)

    return text.replace(f":{password}@", "@", 1).replace("//@", "//", 1), unquote(password)


def _read(file: Path) -> str:
    place = names.display(str(file))
    try:
        with file.open("rb") as opened:
            password = opened.read(MAX_PASSWORD_BYTES).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it is not text"
        message = f"{place}: cannot read the store's password: {cause}"
        raise OperatorError(f"{message}; correct password_file in the cluster file") from None
    if not password:
        message = f"{place}: there is no password for the store in it"
        raise OperatorError(f"{message}; put it there, on one line")
    return password
