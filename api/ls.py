"""Which files are shared, and by whom."""

from shoal.api.asking import Line
from shoal.protocol.keyring import Towards
from shoal.protocol.messages import File, Files, List
from shoal.protocol.trackers import Trackers


def ls(trackers: Trackers, towards: Towards | None = None) -> list[File]:
    """Return every version of every file, sorted by name.

    Args:
        trackers: those to ask (asking.trackers_of).
        towards: with which keys (api.security); None if the cluster file has none.

    Raises:
        TrackerError: the tracker does not answer, or not sensibly.
    """
    with Line(trackers, towards) as line:
        return listed(line)


def listed(line: Line) -> list[File]:
    """Return every version of every file, sorted by name; raises as `Line.pages`."""

    def names(page: Files) -> list[str]:
        return [file.name for file in page.files]

    return [file for page in line.pages(List, Files, names) for file in page.files]
