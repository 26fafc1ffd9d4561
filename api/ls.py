"""Which files are shared, and by whom."""

from shoal.api.asking import pages
from shoal.protocol.messages import File, Files, List


def ls(tracker_address: str) -> list[File]:
    """Return every version of every file, sorted by name.

    Args:
        tracker_address: as in tcp://192.168.1.10:12000.

    Raises:
        TrackerError: the tracker does not answer, or not sensibly.
    """
    listing = pages(tracker_address, List, Files, lambda page: [file.name for file in page.files])
    return [file for page in listing for file in page.files]
