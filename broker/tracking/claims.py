"""Which number a holding gets, and who counts as its publisher. Lists nobody as a holder.

No clock decides: a version is newer because its publisher knew the earlier ones. Every node keeps
the numbers that it was told, so that every tracker finds the same newest version, even one that has
lost everything (docs/build/decisions/0016-versions.md).
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from shoal.broker.tracking.catalogue import Catalogue, Version
from shoal.broker.tracking.changes import UNPUBLISHED, Publication
from shoal.broker.tracking.publishing import Permit
from shoal.protocol import fields
from shoal.protocol.messages import Holding, Told

MayPublish = Callable[[str], bool]  # Under a name.


class Vouched(NamedTuple):
    """A version, and whether its publisher itself says so."""

    publication: Publication
    is_first_hand: bool


def publication(
    catalogue: Catalogue, known: Version | None, holding: Holding, sender: str, permit: Permit
) -> Vouched | None:
    """Return which version `sender` holds, or None if its claim to publish it is refused.

    `known` is that version in the catalogue, if it is there.
    """
    before = _before(known)
    if not _is_claim(holding):
        return _copied(before, holding, sender, permit)
    if known is not None and known.holder_count():
        newest = catalogue.newest(holding.name)
        assert newest is not None, "a version of that name is held"
        is_news = permit.publishes and _claimed_number(holding) > newest.published.number
        return _own(_claimed_number(holding), sender) if is_news else before
    number = _free_number(catalogue, holding, sender) if permit.publishes else None
    if number is None:
        return None
    if before.publication.publisher == sender:  # It published this before; others know the number.
        number = max(number, before.publication.number)
    return _own(number, sender)


def _before(known: Version | None) -> Vouched:
    if known is None:
        return Vouched(UNPUBLISHED, is_first_hand=True)
    return Vouched(known.published, known.is_first_hand)


def _own(number: int, publisher: str) -> Vouched:
    return Vouched(Publication(number, publisher), is_first_hand=True)


def _copied(before: Vouched, holding: Holding, sender: str, permit: Permit) -> Vouched:
    """Return which version something is whose number its holder was told."""
    restated = _restated(holding)
    is_own = restated.publisher == sender and permit.publishes
    is_newer = restated.number > before.publication.number
    if is_newer and (is_own or restated.number < permit.believed_below):
        return Vouched(restated, is_own)
    is_vouched = before.is_first_hand or (is_own and restated == before.publication)
    return Vouched(before.publication, is_vouched)


def told(
    catalogue: Catalogue, holdings: Sequence[Holding], sender: str, may_publish: MayPublish
) -> tuple[Told, ...]:
    """Return what the sender of these holdings does not know about their versions.

    This depends on what is known alone, so a repeated update gets the same answer.
    """
    return tuple(_told(catalogue, holdings, sender, may_publish))


def _told(
    catalogue: Catalogue, holdings: Sequence[Holding], sender: str, may_publish: MayPublish
) -> Iterator[Told]:
    for holding in holdings:
        name, content_id = holding.name, holding.id
        version = catalogue.find(name, content_id)
        if version is not None and version.is_held_by(sender):
            said = holding.version, sender if holding.claims else holding.publisher
            if version.published != said:
                yield Told(name, content_id, *version.published)
        elif _is_claim(holding):
            newest, allowed = catalogue.newest(name), may_publish(name)
            published = UNPUBLISHED if newest is None else newest.published
            if not allowed or (newest is not None and newest.id != content_id):
                yield Told(name, content_id, *published, taken=False, allowed=allowed)


def outcome(catalogue: Catalogue, name: str, content_id: str, claimant: str) -> Told:
    """Return what has become of a claim that another one came before."""
    version = catalogue.find(name, content_id)
    if version is not None and version.is_held_by(claimant):
        return Told(name, content_id, *version.published)
    newest = catalogue.newest(name)
    published = UNPUBLISHED if newest is None else newest.published
    return Told(name, content_id, *published, taken=False)


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
    if is_only_publisher and newest.published.number < fields.MAX_NUMBER:
        return newest.published.number + 1
    return None
