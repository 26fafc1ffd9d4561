"""When a download asks the tracker again, and when it gives up. Knows no holder by name."""

from shoal.node.fetching.settings import FetchSettings
from shoal.node.fetching.steps import QueryTracker

REQUERY_ALONE_S = 0.5  # While there is nobody to ask.
NOBODY_AT_START_S = 3.0  # Nodes that are just starting get this long, …
NOBODY_LATER_S = 10.0  # … and a running fetch this long, before it gives up.
STOPPED_S = 60.0  # So long between two looks: this process was stopped, and nobody is to blame.


class Lookup:
    """The query to the tracker that is out, or the time of the next one."""

    def __init__(self, settings: FetchSettings) -> None:
        self.is_out = False
        self._settings = settings
        self._due = 0.0
        self._pause_s = settings.requery_first_s

    def queries(self, what: str, now: float, *, partial: bool) -> list[QueryTracker]:
        """Return the query to send now, if one is due; it counts as sent."""
        if self.is_out or now < self._due:
            return []
        self.is_out = True
        return [QueryTracker(what, partial)]

    def answered(self, now: float, *, is_alone: bool) -> None:
        """Note that the answer came; the next query is due sooner while there is nobody to ask."""
        self.is_out = False
        self._due = now + (REQUERY_ALONE_S if is_alone else self._pause_s)
        self._pause_s = min(2 * self._pause_s, self._settings.requery_s)

    @property
    def deadline(self) -> float | None:
        """When the next query is due, None while an answer is awaited."""
        return None if self.is_out else self._due


class Patience:
    """How long to go on with nobody to ask, or without anything coming in."""

    def __init__(self, stalled_s: float) -> None:
        """Give up when nothing new has come for `stalled_s`, though there are holders."""
        self._stalled_s = stalled_s
        self._has_begun = False
        self._alone_since: float | None = None
        self._is_hoping = False
        self._hoping_since: float | None = None
        self._success_at: float | None = None
        self._heard_at = 0.0
        self._looked_at = 0.0

    def succeeded(self, now: float) -> None:
        """Note that something came: what is needed to begin, or a new chunk."""
        self._has_begun = True
        self._success_at = self._looked_at = now

    def rest(self, now: float) -> None:
        """Note that nothing was wanted up to now: nobody is to blame."""
        self._alone_since = self._hoping_since = None
        self._success_at = self._looked_at = now

    def look(self, now: float, *, is_alone: bool, is_hoping: bool = False) -> None:
        """Note whether there is anybody to ask now.

        Args:
            now: the time, in seconds.
            is_alone: there is nobody to ask.
            is_hoping: there are only holders that were lost and are tried again. If that fails
                too, the time alone has gone on.
        """
        if self._success_at is None:
            self._success_at = now
        elif now - self._looked_at > STOPPED_S:
            self._success_at += now - self._looked_at
        self._looked_at = now
        self._is_hoping = is_hoping
        if is_hoping:
            self._hope(now)
            return
        self._hoping_since = None
        if not is_alone:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now

    def _hope(self, now: float) -> None:
        """Forget the time alone once a holder has kept its new connection: it is slow, not gone."""
        if self._hoping_since is None:
            self._hoping_since = now
        elif now - self._hoping_since >= NOBODY_LATER_S:
            self._alone_since = None

    def quiet_s(self, now: float) -> float:
        """Return for how long nothing has come in, once something has."""
        return now - self._success_at if self._has_begun and self._success_at is not None else 0.0

    def heard(self, now: float) -> None:
        """Note that a reply is coming in."""
        self._heard_at = now

    def is_stalled(self, now: float) -> bool:
        """Return whether nothing has come for a while, nor is coming, though something had."""
        quiet_s = min(self.quiet_s(now), now - self._heard_at)
        return self._has_begun and quiet_s >= NOBODY_LATER_S

    def is_over(self, now: float) -> bool:
        """Return whether to give up."""
        return self.deadline is not None and self.deadline <= now

    @property
    def deadline(self) -> float | None:
        """When to give up if nothing happens before."""
        times = []
        if self._success_at is not None:
            times.append(self._success_at + self._stalled_s)
        if self._alone_since is not None and not self._is_hoping:
            grace_s = NOBODY_LATER_S if self._has_begun else NOBODY_AT_START_S
            times.append(self._alone_since + grace_s)
        return min(times, default=None)
