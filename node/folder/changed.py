"""Which things in a folder have changed, and where in them. Watches nothing."""

MOST_THINGS = 10_000  # That are named; more are counted as everything …
MOST_PATHS = 1000  # … and more paths in one of them as all of it.


class Changed:
    """What has changed: everything, or some things, and where in them."""

    def __init__(self, *, everything: bool = False) -> None:
        self.is_everything = everything
        self.things: dict[str, set[str]] = {}  # Paths in each; the empty path is all of it.

    def __bool__(self) -> bool:
        return self.is_everything or bool(self.things)

    def add(self, name: str, inside: str = "") -> None:
        """Note that something at a path in a thing has changed, or all of the thing."""
        if len(self.things) >= MOST_THINGS:
            self.is_everything = True
            return
        paths = self.things.setdefault(name, set())
        if not inside or len(paths) >= MOST_PATHS:
            paths.clear()
            paths.add("")
        elif "" not in paths:
            paths.add(inside)

    def update(self, other: "Changed") -> None:
        """Note what another has noted, too."""
        self.is_everything |= other.is_everything
        for name, paths in other.things.items():
            for path in paths:
                self.add(name, path)
