"""What lies in a directory beside what should. Changes nothing."""

import contextlib
import os
from collections.abc import Container, Iterator


def others(root: bytes, known: Container[bytes]) -> Iterator[bytes]:
    """Yield the paths, relative to `root`, of what is below it and not `known`.

    Of directories only those that are empty.
    """
    waiting = [b""]
    while waiting:  # Not by recursion: directories may lie in each other a thousand deep.
        directory = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(root + b"/" + directory) as entries:
            is_empty = True
            for entry in entries:
                is_empty = False
                path = directory + b"/" + entry.name if directory else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif path not in known:
                    yield path
            if is_empty and directory and directory not in known:
                yield directory
