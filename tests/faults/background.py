"""Something that goes on in a thread while a context lasts."""

import threading
from types import TracebackType
from typing import Self


class Background:
    """Runs `run` until `is_over` is set, which it has to look at."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self._thread = threading.Thread(target=self.run)

    def run(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Put down what it has, after its thread has ended."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.is_over.set()
        self._thread.join()
        self.close()
