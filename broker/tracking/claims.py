"""Which number a holding gets, and who counts as its publisher. Lists nobody as a holder.

No clock decides: a version is newer because its publisher knew the earlier ones. Every node keeps
the numbers that it was told, so that every tracker finds the same newest version, even one that has
lost everything (docs/build/decisions/0016-versions.md).
"""

import itertools
from collections.abc import Iterator, Sequence

from shoal.broker.tracking.catalogue import Catalogue, Version
from shoal.broker.tracking.changes import UNPUBLISHED, Publication
from shoal.protocol import messages
from shoal.protocol.messages import Holding, Told


def publication(
    catalogue: Catalogue, known: Version | None, holding: Holding, sender: str
) -> Publication | None:
    """Return which version `sender` holds, or None if its claim to publish it is refused.

    `known` is that version in the catalogue, if it is there.
    """
    before = UNPUBLISHED if known is None else known.published
    if not _is_claim(holding):
        restated = _restated(holding)
        return restated if restated.number > before.number else before
    if known is not None and known.holder_count():
        newest = catalogue.newest(holding.name)
        assert newest is not None, "a version of that name is held"
        is_news = _claimed_number(holding) > newest.published.number
        return Publication(_claimed_number(holding), sender) if is_news else before
    number = _free_number(catalogue, holding, sender)
    if number is None:
        return None
    if before.publisher == sender:  # It published this before, and others know the number.
        number = max(number, before.number)
    return Publication(number, sender)


def told(catalogue: Catalogue, holdings: Sequence[Holding], sender: str) -> tuple[Told, ...]:
    """Return what the sender of these holdings does not know about their versions.

    This depends on the catalogue alone, so a repeated update gets the same answer.
    """
    return tuple(_told(catalogue, holdings, sender))


def _told(catalogue: Catalogue, holdings: Sequence[Holding], sender: str) -> Iterator[Told]:
    for holding in holdings:
        name, content_id = holding.name, holding.id
        version = catalogue.find(name, content_id)
        if version is not None and version.is_held_by(sender):
            said = holding.version, sender if holding.claims else holding.publisher
            if version.published != said:
                yield Told(name, content_id, *version.published)
        elif _is_claim(holding):
            newest = catalogue.newest(name)
            if newest is not None and newest.id != content_id:
                yield Told(name, content_id, *newest.published, taken=False)


def _is_claim(holding: Holding) -> bool:
    return holding.claims and holding.complete  # Nobody publishes a part.


def _claimed_number(holding: Holding) -> int:
    return max(1, holding.version)


def _restated(holding: Holding) -> Publication:
    if holding.claims or not holding.version:
        return UNPUBLISHED
    return Publication(holding.version, holding.publisher)


def _free_number(catalogue: Catalogue, holding: Holding, sender: str) -> int | None:
    """Return a new version's number, or None if others have published under that name meanwhile."""
    claimed = _claimed_number(holding)
    newest = catalogue.newest(holding.name)
    if newest is None or newest.published.number < claimed:
        return claimed
    rivals = itertools.takewhile(
        lambda version: version.published.number >= claimed, catalogue.versions(holding.name)
    )
    is_only_publisher = all(rival.published.publisher == sender for rival in rivals)
    if is_only_publisher and newest.published.number < messages.MAX_NUMBER:
        return newest.published.number + 1
    return None
