"""Which number a holding gets, and who is said to have published it. Lists nobody as a holder.

No clock decides: a version is newer because its publisher knew the ones before it. Every node keeps
the numbers it was told, so any tracker, also one that lost everything, finds the same newest
(docs/build/decisions/0016-versions.md).
"""

import itertools
from collections.abc import Iterator, Sequence

from shoal.broker.tracking.catalogue import Catalogue, Member, Version
from shoal.broker.tracking.records import UNPUBLISHED, Publication
from shoal.protocol import messages
from shoal.protocol.messages import Holding, Told


def accepted(catalogue: Catalogue, holding: Holding, sender: str, now: float) -> Version | None:
    """Return the version that `sender` holds, or None if its claim to publish it is refused."""
    if not _is_claim(holding):
        return _announced(catalogue, holding, _restated(holding), now)
    known = catalogue.find(holding.name, holding.id)
    if known is not None and known.holder_count():
        newest = catalogue.newest(holding.name)
        assert newest is not None, "a version of that name is held"
        if _claimed_number(holding) > newest.published.number:
            catalogue.publish(known, Publication(_claimed_number(holding), sender), now)
        return known
    number = _free_number(catalogue, holding, sender)
    if number is None:
        return None
    if known is not None and known.published.publisher == sender:
        number = max(number, known.published.number)  # It published this before; others know.
    published = Publication(number, sender)
    version = _announced(catalogue, holding, published, now)
    catalogue.publish(version, published, now)  # Also if it was known, but nobody held it.
    return version


def told(catalogue: Catalogue, holdings: Sequence[Holding], member: Member) -> tuple[Told, ...]:
    """Return what the sender of these holdings does not know of their versions.

    It depends on nothing but the catalogue, so an update whose answer was lost is answered alike.
    """
    return tuple(itertools.chain.from_iterable(_told(catalogue, one, member) for one in holdings))


def _told(catalogue: Catalogue, holding: Holding, member: Member) -> Iterator[Told]:
    name, content_id = holding.name, holding.id
    version = catalogue.find(name, content_id)
    if version is not None and version.serial in member.holdings:
        said = holding.version, member.node if holding.claims else holding.publisher
        if version.published != said:
            yield Told(name, content_id, *version.published)
        return
    newest = catalogue.newest(name)
    if _is_claim(holding) and newest is not None and newest.id != content_id:
        yield Told(name, content_id, *newest.published, taken=False)


def _is_claim(holding: Holding) -> bool:
    return holding.claims and holding.complete  # Nobody publishes a part.


def _claimed_number(holding: Holding) -> int:
    return max(1, holding.version)


def _restated(holding: Holding) -> Publication:
    if holding.claims or not holding.version:
        return UNPUBLISHED
    return Publication(holding.version, holding.publisher)


def _announced(
    catalogue: Catalogue, holding: Holding, published: Publication, now: float
) -> Version:
    return catalogue.announce(holding.name, holding.id, holding.size_bytes, published, now)


def _free_number(catalogue: Catalogue, holding: Holding, sender: str) -> int | None:
    """Return the number of a new version, or None if others have published that name meanwhile."""
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
