"""The name, id or NAME@ID of something, as it was typed."""

from shoal.protocol import manifest, names
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display


def checked_what(what: str) -> str:
    """Return `what` if it may be asked for, without the `/` that a shell puts after a directory.

    Raises:
        OperatorError: it can be neither a name nor an id.
    """
    plain = what.rstrip("/") or what
    try:
        return plain if manifest.is_id(plain) else names.check_name(plain)
    except ValueError as error:
        message = f"'{display(what)}' cannot be a name: it {error}"
        raise OperatorError(f"{message}; `shoal ls` lists the files that are shared") from None
