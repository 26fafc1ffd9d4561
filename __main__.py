"""`shoal` and `python -m shoal`: begins quickly, and can be told to stop from the first moment."""

import gc
import os
import signal
import sys


def heed_signals() -> None:
    """Have a signal end the process at once, until a command sees to signals itself.

    What was ignored when the process started, as with nohup, stays ignored. SIGHUP, which has a
    daemon read its cluster file again, changes nothing before it has read it.
    """
    is_daemon = sys.argv[1:2] in (["tracker"], ["node"])  # To be told to stop is no failure of it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            continue
        if is_daemon and number == signal.SIGHUP:
            signal.signal(number, lambda *_: None)
        else:
            signal.signal(number, lambda number, _: os._exit(0 if is_daemon else 128 + number))
    gc.set_threshold(50_000)  # Imports make objects that stay; a tenth of the start went to search.


def main() -> None:
    """Run the command that sys.argv names."""
    heed_signals()
    from shoal.cli import main as run  # noqa: PLC0415 (it takes 0.1 s, and a signal may come)

    run()


if __name__ == "__main__":
    main()
