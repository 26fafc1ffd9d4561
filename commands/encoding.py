"""Makes Python read and write file names as UTF-8, whatever the locale is.

Names travel as UTF-8. A Python that was told to take the disk's names for Latin-1 or ASCII would
send others than are there, and it can only be told otherwise when it starts.
"""

import os
import sys


def insist_on_utf8() -> None:
    """Start this command anew, in UTF-8 mode (PEP 540), if it takes names for anything else.

    What it prints stays in the terminal's character set.
    """
    if sys.flags.utf8_mode or sys.getfilesystemencoding().lower() == "utf-8":
        return
    shown = sys.stdout.encoding if sys.stdout is not None else "ascii"
    os.environ.setdefault("PYTHONIOENCODING", f"{shown}:backslashreplace")
    arguments = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
    os.execv(sys.executable, arguments)  # noqa: S606 (the same program, with no shell)
