"""Shares what is in a node's folder under a name, or says why it is not shared.

Copies nothing into the folder (node.orders.copying).
"""

from collections.abc import Callable

from shoal.node.folder.rules import Rule
from shoal.node.folder.tree import Tree
from shoal.node.folder.whole import Whole
from shoal.node.orders import questions
from shoal.node.orders.home import Home
from shoal.node.orders.jobs import OnProgress
from shoal.node.trees.left_out import LeftOut
from shoal.protocol.control import ShareOrder, Sharing, Working
from shoal.protocol.errors import DiskError, NotAllowedError, OperatorError
from shoal.protocol.names import display
from shoal.protocol.titles import Published

MOST_CLAIMS = 3


class Shares:
    """Carries out orders to share, each in its caller's thread."""

    def __init__(
        self,
        home: Home,
        announce: Callable[[], bool],
        refusal: Callable[[], NotAllowedError | None],
    ) -> None:
        """`announce` has the tracker told of what changed, and returns whether it knows.

        `refusal` returns why the tracker does not let us in, None if it does.
        """
        self._home = home
        self._refusal = refusal
        self._announce = announce

    def share(self, order: ShareOrder, on_progress: OnProgress) -> Sharing:
        """Hash and announce what the folder has under a name.

        Raises:
            NotAllowedError: by the cluster file this node may not publish under that name, or the
                tracker does not let it in.
            OperatorError: it is not there, or must not be shared under that name.
        """
        name, home = order.name, self._home
        home.register.reconsider(name)
        rule = home.rules.of(name)
        chunking = order.chunking or rule.chunking
        parts = order.include, order.exclude
        follows, linked = order.follow_links, order.linked or rule.linked
        home.rules.set(name, Rule("", *parts, chunking, follow_links=follows, linked=linked))
        if chunking != rule.chunking:
            home.inventory.remove(name)
            home.cache.forget(name)

        def on_hashed(done_bytes: int, size_bytes: int) -> None:
            on_progress(Working(name, done_bytes, size_bytes or None, None))

        try:
            thing = home.watcher.look_at(name, on_hashed, over=self._newest(order))
        except BaseException:
            home.rules.set(name, rule)
            raise
        withheld = home.register.withheld(name)
        if thing is None and withheld is None:
            home.rules.set(name, rule)
            raise self._not_shared(name)
        announced = thing is not None and self._announce()
        for _ in range(MOST_CLAIMS):  # Others may be publishing the same number.
            withheld = home.register.withheld(name)
            if withheld is None or not order.force or not withheld.allowed:
                break
            thing = home.watcher.look_at(name, over=(withheld.version, None))
            announced = self._announce()
        return self._outcome(name, thing, announced=announced)

    def _outcome(self, name: str, thing: Whole | None, *, announced: bool) -> Sharing:
        accepted, refusal = self._accepted(name, thing), self._refusal()
        if not announced and refusal is not None:
            raise refusal
        return _sharing(accepted, announced=announced)

    def _accepted(self, name: str, thing: Whole | None) -> Whole:
        """Return what is shared under a name now.

        Raises:
            OperatorError: others have published something else, or it keeps changing.
        """
        withheld = self._home.register.withheld(name)
        if withheld is None and thing is not None:
            return thing
        if withheld is not None and not withheld.allowed:
            raise NotAllowedError(f"not shared: {withheld.reason(self._home.identity.name)}")
        reason = (
            withheld.reason(self._home.identity.name)
            if withheld is not None
            else f"{display(name)} keeps changing; run it again when nothing writes to it"
        )
        raise OperatorError(f"not shared: {reason}")

    def _not_shared(self, name: str) -> OperatorError:
        """Return why nothing is shared under a name."""
        folder, reason = self._home.identity.folder, self._home.watcher.why_not(name)
        if reason is None:
            message = f"{display(name)} is not in {folder}, or keeps changing"
            return DiskError(f"{message}; put it there and run it again")
        message = f"cannot share {display(name)} in {folder}: {reason}"
        return DiskError(f"{message}; fix that and run it again")

    def _newest(self, order: ShareOrder) -> Published | None:
        """Return what to publish over, if that is wanted and the tracker answers."""
        if not order.force:
            return None
        try:
            answer = questions.ask(self._home, lambda: None, order.name)
        except OperatorError:
            answer = None  # Then it is published over what is known here.
        return questions.newest(answer) if answer is not None else (0, None)


def _sharing(thing: Whole, *, announced: bool) -> Sharing:
    left_out = thing.source.left_out if isinstance(thing.source, Tree) else LeftOut()
    return Sharing(
        thing.name,
        thing.id,
        thing.size_bytes,
        announced,
        thing.title.version,
        thing.title.publisher,
        left_out.told(),
        left_out.count,
    )
