"""How long a download goes on with nobody to ask, or without success. Knows no holder by name."""

from node.settings import FetchSettings

STOPPED_S = 60.0  # So long between two looks: this process was stopped, and nobody is to blame.


class Patience:
    """When to give up, from what was seen at each moment."""

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        self._has_begun = False
        self._alone_since: float | None = None
        self._success_at: float | None = None
        self._looked_at = 0.0

    def succeeded(self, now: float) -> None:
        """Note that something came: what is needed to begin, or a new chunk."""
        self._has_begun = True
        self._success_at = self._looked_at = now

    def look(self, now: float, *, is_alone: bool) -> None:
        """Note whether there is anybody to be asked now."""
        if self._success_at is None:
            self._success_at = now
        elif now - self._looked_at > STOPPED_S:
            self._success_at += now - self._looked_at
        self._looked_at = now
        if not is_alone:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now

    def is_over(self, now: float) -> bool:
        """Say whether to give up."""
        return self.deadline is not None and self.deadline <= now

    @property
    def deadline(self) -> float | None:
        """When it is over if nothing happens before."""
        settings, times = self._settings, []
        if self._success_at is not None:
            times.append(self._success_at + settings.stalled_s)
        if self._alone_since is not None:
            grace_s = settings.nobody_later_s if self._has_begun else settings.nobody_at_start_s
            times.append(self._alone_since + grace_s)
        return min(times, default=None)
