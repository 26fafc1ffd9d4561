"""What a node does with what lies in its folder: shares it, forgets it, deletes it."""

import os
from collections.abc import Callable

import msgspec

from node import leftovers, questions, standing
from node.home import Home
from node.placing import remove
from node.rules import FORGOTTEN, NO_RULE, Rule
from node.titles import Published
from protocol.control import ForgetOrder, Forgotten, ShareOrder, Sharing, Working
from protocol.errors import ExitCode, OperatorError
from protocol.names import display

MOST_CLAIMS = 3
OnProgress = Callable[[Working], None]


class Upkeep:
    """Carries out orders, each in its caller's thread."""

    def __init__(self, home: Home, announce: Callable[[], bool]) -> None:
        """`announce` has the tracker told of what changed, and says whether it knows."""
        self._home = home
        self._announce = announce

    def share(self, order: ShareOrder, on_progress: OnProgress) -> Sharing:
        """Hash and announce what lies in the folder under a name.

        Raises:
            OperatorError: it is not there, or is not to be shared under that name.
        """
        name, home = order.name, self._home
        rule = home.rules.of(name)
        chunking = order.chunking or rule.chunking
        home.rules.set(name, Rule("", order.include, order.exclude, chunking))
        if chunking != rule.chunking:
            home.inventory.remove(name)
            home.cache.forget(name)

        def on_hashed(done_bytes: int, size_bytes: int) -> None:
            on_progress(Working(name, done_bytes, size_bytes, None))

        thing = home.watcher.look_at(name, on_hashed, over=self._newest(order))
        withheld = home.register.withheld(name)
        if thing is None and withheld is None:
            home.rules.set(name, rule)
            message = f"{display(name)} is not in {home.identity.folder}, or keeps changing"
            raise OperatorError(f"{message}; put it there and run it again", ExitCode.DISK)
        announced = thing is not None and self._announce()
        for _ in range(MOST_CLAIMS):  # Others may publish the same number just now.
            withheld = home.register.withheld(name)
            if withheld is None or not order.force:
                break
            thing = home.watcher.look_at(name, over=(withheld.version, None))
            announced = self._announce()
        if withheld is not None or thing is None:
            reason = withheld.reason(home.identity.name) if withheld else "it keeps changing"
            raise OperatorError(f"not shared: {reason}")
        title = thing.title
        return Sharing(name, thing.id, thing.size_bytes, announced, title.version, title.publisher)

    def _newest(self, order: ShareOrder) -> Published | None:
        """Return what is to be published over, if that is wanted and the tracker answers."""
        if not order.force:
            return None
        try:
            answer = questions.ask(self._home, lambda: None, order.name)
        except OperatorError:
            answer = None  # Then it is published as far as that is known here.
        return questions.newest(answer) if answer is not None else (0, None)

    def forget(self, order: ForgetOrder) -> Forgotten:
        """Stop sharing a thing; delete it if that is wanted.

        Raises:
            OperatorError: it is not here.
        """
        home = self._home
        name, content_id = self._meant(order.what)
        rule = home.rules.of(name)
        if not rule.withheld or not order.delete:
            home.rules.set(name, msgspec.structs.replace(rule, withheld=FORGOTTEN))
        home.watcher.look_at(name)  # It sees that, and takes it out of the inventory.
        if order.delete:
            self._delete(name)
            home.rules.set(name, NO_RULE)
        self._announce()
        return Forgotten(name, content_id, deleted=order.delete)

    def _meant(self, what: str) -> tuple[str, str | None]:
        """Return the name of what is here, and its id if it is shared."""
        path, register = self._home.identity.folder / what, self._home.register
        is_withheld = self._home.rules.of(what).withheld or register.withheld(what) is not None
        if is_withheld and os.path.lexists(path):
            return what, None
        thing = standing.held(self._home, what)
        return thing.name, thing.id

    def _delete(self, name: str) -> None:
        folder = self._home.identity.folder
        try:
            aside = leftovers.deleted(folder)
            try:
                (folder / name).rename(aside)
            finally:
                remove(aside.parent)
        except OSError as error:
            message = f"cannot delete {display(name)} in {folder}: {error.strerror}"
            raise OperatorError(f"{message}; check its permissions", ExitCode.DISK) from None
