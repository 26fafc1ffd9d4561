"""Peer-to-peer file distribution for LANs and clusters, over ZeroMQ."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("shoal")
except PackageNotFoundError:  # A clone that is not installed.
    __version__ = "0+unknown"
