"""How many files and connections this process may have open. Opens none."""

import resource


def raise_limit() -> int:
    """Raise the limit of open files as far as it goes, and return it."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        except (OSError, ValueError):  # Some systems refuse "unlimited".
            return limit
    return most
