"""How many files and connections this process may have open. Opens none."""

import resource


def raise_limit() -> int:
    """Let the process open as many files as it may, and return how many that is."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        except (OSError, ValueError):  # "As many as you like" is refused by some systems.
            return limit
    return most
