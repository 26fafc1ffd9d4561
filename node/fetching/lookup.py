"""When a download asks the tracker who holds its thing. Reads no answer."""

from shoal.node.fetching.steps import QueryTracker
from shoal.node.scheduling.settings import FetchSettings


class Lookup:
    """The query that is out, or the time of the next one."""

    def __init__(self, settings: FetchSettings) -> None:
        self.is_out = False
        self._settings = settings
        self._due = 0.0
        self._pause_s = settings.requery_first_s

    def queries(self, what: str, now: float, *, partial: bool) -> list[QueryTracker]:
        """Return the query to send now, if it is time for one; it counts as sent."""
        if self.is_out or now < self._due:
            return []
        self.is_out = True
        return [QueryTracker(what, partial)]

    def answered(self, now: float, *, is_alone: bool) -> None:
        """Note that the answer came; the next query is due sooner with nobody to ask."""
        self.is_out = False
        self._due = now + (self._settings.requery_alone_s if is_alone else self._pause_s)
        self._pause_s = min(2 * self._pause_s, self._settings.requery_s)

    @property
    def deadline(self) -> float | None:
        """When the next query is due, None while an answer is awaited."""
        return None if self.is_out else self._due
