"""How a thing becomes known: in part while it is fetched, and under its name at the end.

Writes none of its bytes.
"""

import functools
from pathlib import Path

import msgspec
from shoal.node.files.placing import InTheWayError, remove
from shoal.node.files.signature import Signature
from shoal.node.folder.cache import Cache
from shoal.node.folder.hashing import verified_chunks
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.register import Register
from shoal.node.folder.rules import DAMAGED, FETCHING, PART, REPLACING, Rule, Rules
from shoal.node.folder.source import FileSource, Source
from shoal.node.folder.tree import everything_in
from shoal.node.folder.whole import Whole
from shoal.node.staging.destination import Destination
from shoal.node.staging.linking import drop_link, place_link
from shoal.node.staging.partial import PartialFile
from shoal.node.staging.spare import Spare
from shoal.node.staging.staged_file import StagedFile
from shoal.node.staging.staged_tree import StagedTree
from shoal.protocol import bitmap
from shoal.protocol.control import Chunking
from shoal.protocol.errors import OperatorError
from shoal.protocol.manifest import ContentId, Manifest, pack_sizes
from shoal.protocol.names import display


class BeingFetchedError(OperatorError):
    """Another order is fetching the same content."""

    def __init__(self, name: str, content_id: ContentId) -> None:
        super().__init__(f"{display(name)} is being fetched already; wait for it")
        self.id = content_id


class Folder(msgspec.Struct, frozen=True):
    """What is known of the things in a node's folder."""

    inventory: Inventory
    cache: Cache
    rules: Rules
    register: Register


class Publication:
    """One thing's, from `begin` to `end`."""

    def __init__(self, to: Destination, known: Folder) -> None:
        self._to = to
        self._known = known
        self._partial: PartialFile | None = None

    def begin(self, name: str, staged: StagedFile | StagedTree) -> PartialFile:
        """Have what is there of it served from now on.

        Raises:
            BeingFetchedError: the same content is being fetched by another order.
        """
        partial = PartialFile(name, staged)
        partial.title = msgspec.structs.replace(self._to.title, id=staged.id)
        if not self._known.inventory.put_partial(partial):
            raise BeingFetchedError(name, staged.id)
        self._partial = partial
        return partial

    def withhold(self, spare: Spare) -> None:
        """Have the watcher leave alone what is not all of it, or not yet."""
        if self._to.output is not None:
            return
        name, rules = self._begun.name, self._known.rules
        rule = rules.of(name)
        if not self._to.selection.is_everything:
            rules.set(name, msgspec.structs.replace(rule, withheld=PART))
        elif self._to.in_place and rule.withheld not in {PART, DAMAGED}:
            withheld = FETCHING if spare.is_nothing else REPLACING
            rules.set(name, msgspec.structs.replace(rule, withheld=withheld))

    def publish(self, staged: StagedFile | StagedTree, spare: Spare) -> Path:
        """Put the thing, which is complete, in place; return where it is.

        Raises:
            OperatorError: something has its name that must not be replaced.
            OSError: the disk refused.
        """
        to, name = self._to, self._begun.name
        if to.output is not None:
            if to.linked:
                self._publish_linked(staged, to.output, may_replace=spare.is_anything)
            else:
                staged.publish_at(to.output, to.selection.inside, may_replace=spare.is_anything)
            return to.output
        if to.heals and self._known.rules.of(name).withheld != DAMAGED:
            message = f"{display(name)} has been forgotten or shared again meanwhile"
            raise OperatorError(f"{message}; it was left as it is")
        try:
            source = staged.publish(to.folder, name, functools.partial(spare.allows, b""))
        except InTheWayError:
            raise in_the_way(name, to.folder) from None
        is_mixed = to.heals and staged.manifest.is_tree  # Other files may be in the directory.
        if to.selection.is_everything and not is_mixed:
            self._share(source, staged.manifest)
        return to.folder / name / to.selection.inside

    def end(self) -> None:
        """Serve it no more as a partial thing."""
        if self._partial is not None:
            self._known.inventory.remove_partial(self._partial.id)

    @property
    def _begun(self) -> PartialFile:
        assert self._partial is not None
        return self._partial

    def _publish_linked(
        self, staged: StagedFile | StagedTree, target: Path, *, may_replace: bool
    ) -> None:
        """Put the thing at `target`, and share it from there.

        The link comes first: if the node is killed in between, what is there is known to be ours.
        """
        folder, name, rules = self._to.folder, self._begun.name, self._known.rules
        rule, is_known = rules.of(name), (folder / name).exists()
        rules.set(name, Rule(linked=True))
        try:
            link = functools.partial(place_link, target, folder, name)
            staged.publish_at(target, may_replace=may_replace, begin=link)
        except BaseException:
            if not is_known:
                drop_link(target, folder, name)
            rules.set(name, rule)
            raise
        if self._to.beside is not None:
            remove(self._to.beside)
        place = folder / name
        if staged.manifest.is_tree:
            self._share(everything_in(place), staged.manifest)
        else:
            signature = Signature.of(place.stat(), is_outside=True)
            self._share(FileSource(place, signature), staged.manifest)

    def _share(self, source: Source, thing: Manifest) -> None:
        partial, known = self._begun, self._known
        name, is_it = partial.name, _has_this_listing(source, thing)
        if is_it:
            known.cache.remember(
                name, source.signature, partial.data, is_durable=True, place=source.path
            )
            known.register.note(name, partial.title)
        is_fixed = not is_it or pack_sizes(source.cut()) == thing.sizes
        chunking: Chunking | None = None if is_fixed else "content"
        known.rules.set(name, Rule(chunking=chunking, linked=self._to.linked))
        if is_it:  # Only now: the watcher takes out what is withheld.
            known.inventory.put(Whole(name, partial.data, source, partial.title))


def in_the_way(name: str, folder: Path) -> OperatorError:
    """Return what to say if something appeared under the name that must not be replaced."""
    message = f"{folder} already has a different {display(name)} that appeared while it was fetched"
    remedy = "the fetched data is kept: move the other one and run it again, or pass --force"
    return OperatorError(f"{message}; {remedy}")


def _has_this_listing(source: Source, thing: Manifest) -> bool:
    """Return whether a tree has nothing else in it; somebody may just have put it there."""
    known = source.listing_bytes, source.signature.size_bytes
    if known != (thing.listing_bytes, thing.size_bytes):
        return False

    def read(index: int) -> bytes:
        return source.read(thing.chunk_offset(index), thing.chunk_size(index))

    listing = list(range(thing.listing_chunks))
    return verified_chunks(read, thing, listing) == bitmap.of(listing)
