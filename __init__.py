"""Peer-to-peer file distribution for LANs and clusters, over ZeroMQ."""

__version__: str  # From the package's metadata, which costs 10 ms to read: when it is asked for.


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 (as said above)

    try:
        return version("shoal")
    except PackageNotFoundError:
        return "0+unknown"  # A clone that is not installed.
