"""Where a download's bytes go: into staging, to others meanwhile, and to their name at the end.

Carries out what the download says of its disk; knows nothing of holders.
"""

import errno
import functools
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from shoal.node.fetching import steps
from shoal.node.files.placing import InTheWayError
from shoal.node.files.signature import Signature
from shoal.node.folder.hashing import verified_chunks
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.quota import Quota
from shoal.node.folder.register import Register
from shoal.node.folder.rules import DAMAGED, FETCHING, PART, REPLACING, Rule, Rules
from shoal.node.folder.source import Source
from shoal.node.folder.spare import NOTHING, Spare, remember, remembered
from shoal.node.folder.whole import Whole
from shoal.node.scheduling.wanted import Twins
from shoal.node.staging.appearing import Appearing
from shoal.node.staging.file_staging import Staging, disk_trouble, staging_place
from shoal.node.staging.partial import PartialFile
from shoal.node.staging.remains import note_name
from shoal.node.staging.reuse import chunks_of, copy_chunks
from shoal.node.staging.room import in_the_way, require_any, require_room, require_targets
from shoal.node.staging.tree_staging import TreeStaging
from shoal.node.staging.write_behind import WriteBehind
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol import bitmap
from shoal.protocol.errors import MalformedMessageError, OperatorError
from shoal.protocol.manifest import ContentId, Manifest, pack_sizes
from shoal.protocol.names import display
from shoal.protocol.titles import Title


class BeingFetchedError(OperatorError):
    """Another order fetches the same content just now."""

    def __init__(self, name: str, content_id: ContentId) -> None:
        super().__init__(f"{display(name)} is being fetched already; wait for it")
        self.id = content_id


class Destination(msgspec.Struct, frozen=True):
    """Where a thing is to lie: in a node's folder and inventory, or at `output` instead."""

    folder: Path
    inventory: Inventory
    remember: Callable[[str, Signature, bytes], None]
    output: Path | None = None
    selection: Selection = EVERYTHING  # What of a tree.
    in_place: bool = False  # The files of a tree appear one by one.
    spare: Spare = NOTHING  # What may go from where it is put; at `output`, only if it is anything.
    heals: bool = False  # What else is in the directory stays.
    older: tuple[Whole, ...] = ()  # What else may have some of the bytes.
    rules: Rules | None = None
    quota: Quota | None = None
    name: str | None = None  # Else that of the thing.
    register: Register | None = None
    title: Title = Title("")  # Which version it is, as far as that is known.


class Intake:
    """The bytes of one download, from `open` to `close`."""

    def __init__(
        self,
        to: Destination,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`check` is called during long work, and raises OperatorError to stop it."""
        self._to = to
        self._check = check
        self.writing_s = 0.0  # So far, for which the fetch waited for the disk.
        self._behind = WriteBehind()
        self._staging: Staging | TreeStaging | None = None
        self._partial: PartialFile | None = None
        self._twins: Twins | None = None
        self._spare = to.spare
        self._have = 0  # Chunks that are written (protocol.bitmap), whatever the download believes.
        self._trouble: steps.Event | None = (
            None  # The first: nothing is written or published after.
        )

    def open(self, action: steps.OpenStaging) -> steps.Event:
        """Make room, and have what is there already served.

        Raises:
            BeingFetchedError: the same thing is being fetched by another order.
            OperatorError: it is too much.
        """
        name = self._to.name or action.name
        quota = self._to.quota if self._to.output is None else None
        require_room(name, action.manifest, self._to.selection, quota, action.id)
        self._staging = self._staging_for(name, action)
        partial = PartialFile(name, self._staging)
        partial.title = msgspec.structs.replace(self._to.title, id=action.id)
        if not self._to.inventory.put_partial(partial):
            raise BeingFetchedError(name, action.id)
        self._partial, self._twins = partial, Twins(action.manifest)
        try:
            have = self._staging.open()
            note_name(staging_place(self._to.folder, action.id), name)
            if self._to.in_place:
                remember(self._spare, staging_place(self._to.folder, action.id))
            return self._opened(have, is_all=not action.manifest.is_tree)
        except OSError as error:
            return self._failed(error)

    def lay_out(self) -> steps.Event:
        """Make room for the files of the tree, whose listing is there."""
        assert isinstance(self._staging, TreeStaging)
        assert self._partial is not None
        try:
            self._behind.settle()
            if self._to.rules is not None and self._to.output is None:
                self._withhold(self._to.rules, self._partial.name)
            have = self._staging.lay_out()
            self._require_what_was_meant(self._staging)
            self._require_room_for_a_part(self._staging, have)
            return self._opened(have, is_all=True)
        except MalformedMessageError as error:
            return steps.ListingRefused(str(error))
        except OSError as error:
            return self._failed(error)

    def store(self, index: int, payload: memoryview) -> steps.Event | None:
        """Write a chunk that was verified wherever it belongs, soon, and serve it from then on."""
        if self._trouble is not None:
            return self._trouble
        began = time.monotonic()
        try:
            places = self._places(index)
            self._behind.write(len(payload) * len(places), lambda: self._write(places, payload))
        except OSError as error:
            return self._failed(error)
        self.writing_s += time.monotonic() - began
        return None

    def _places(self, index: int) -> list[int]:
        """Return a chunk that has come, and the missing ones with the same bytes."""
        assert self._staging is not None
        assert self._twins is not None
        missing = self._twins.of(index) & self._staging.needed & ~self._have
        return list(bitmap.indices(missing | 1 << index))

    def _write(self, places: list[int], payload: memoryview) -> None:
        assert self._staging is not None
        assert self._partial is not None
        for index in places:
            self._staging.write(index, payload)
            self._have |= 1 << index
            self._partial.have = self._have

    def publish(self) -> steps.Event:
        """Give the whole thing its name, unless a chunk of it was not written.

        Raises:
            OperatorError: something has the name that must not be replaced.
        """
        assert self._staging is not None
        began = time.monotonic()
        try:
            self._behind.settle()
            if self._trouble is not None:
                return self._trouble
            if self._staging.needed & ~self._have:
                return self._failed(OSError(errno.EIO, "not everything was written"))
            if self._to.output is None:
                return steps.Published(self._publish(self._staging))
            inside, may_replace = self._to.selection.inside, self._spare.is_anything
            self._staging.publish_at(self._to.output, inside, may_replace=may_replace)
            return steps.Published(str(self._to.output))
        except InTheWayError:
            assert self._partial is not None
            raise in_the_way(self._partial.name, self._to.folder) from None
        except OSError as error:
            return self._failed(error)
        finally:
            self.writing_s += time.monotonic() - began

    def close(self) -> None:
        """Let go of it; what is not whole stays for the next try."""
        self._behind.close()
        if self._partial is not None:
            self._to.inventory.remove_partial(self._partial.id)
        if self._staging is not None:
            self._staging.close()

    def _require_what_was_meant(self, staging: TreeStaging) -> None:
        assert self._partial is not None
        name, selection = self._partial.name, self._to.selection
        is_alone = self._to.output is not None and bool(selection.inside)
        require_targets(name, selection, staging.lack(inside_alone=is_alone))
        require_any(name, selection, has_any=staging.has_any)

    def _require_room_for_a_part(self, staging: TreeStaging, have: int) -> None:
        if self._to.selection.is_everything or self._to.quota is None or self._to.output:
            return
        assert self._partial is not None
        missing = bitmap.indices(staging.needed & ~have)
        more_bytes = sum(map(staging.manifest.chunk_size, missing))
        name, staged = self._partial.name, self._partial.id
        self._to.quota.require(name, more_bytes, replaces=False, staged=staged)

    def _staging_for(self, name: str, action: steps.OpenStaging) -> Staging | TreeStaging:
        to, place = self._to, staging_place(self._to.folder, action.id)
        appears = to.in_place and to.output is None
        if appears and self._spare.is_nothing:  # An earlier try may have looked.
            self._spare = remembered(place)
        if not action.manifest.is_tree:
            return Staging(place.parent, action.id, action.manifest)
        appearing = None
        if appears:
            appearing = Appearing(to.folder, name, self._spare, keeps_others=to.heals)
        staging = TreeStaging(place.parent, action.id, action.manifest, to.selection, appearing)
        staging.check = self._check
        return staging

    def _opened(self, have: int, *, is_all: bool) -> steps.StagingOpened:
        """Copy what is in the folder already, and serve what is there so far."""
        assert self._staging is not None
        assert self._partial is not None
        thing, needed = self._staging.manifest, self._staging.needed
        have |= self._filled(have)
        missing = needed & ~have
        if missing:
            older, held = chunks_of(self._to.older), self._to.inventory.places
            have |= copy_chunks(
                thing, missing, lambda one: (*older(one), *held(one)), self._staging.write
            )
        self._have = self._partial.have = have
        return steps.StagingOpened(have, needed, is_all)

    def _filled(self, have: int) -> int:
        """Write the missing chunks whose bytes are in another one that is there; return them."""
        assert self._staging is not None
        assert self._twins is not None
        missing = self._twins.with_all(have) & self._staging.needed & ~have
        for index in bitmap.indices(missing):
            known = bitmap.lowest(self._twins.of(index) & have)
            self._staging.write(index, self._staging.read(known))
        return missing

    def _publish(self, staging: Staging | TreeStaging) -> str:
        assert self._partial is not None
        name, data = self._partial.name, self._partial.data
        rules = self._to.rules
        if self._to.heals and rules is not None and rules.of(name).withheld != DAMAGED:
            message = f"{display(name)} has been forgotten or shared anew meanwhile"
            raise OperatorError(f"{message}; nothing was put there")
        source = staging.publish(self._to.folder, name, functools.partial(self._spare.allows, b""))
        is_healed = self._to.heals and staging.manifest.is_tree  # The rest is not ours.
        if self._to.selection.is_everything and not is_healed:
            is_it = _has_this_listing(source, staging.manifest)
            if is_it:
                self._to.remember(name, source.signature, data)
                if self._to.register is not None:
                    self._to.register.note(name, self._partial.title)
                self._to.inventory.put(Whole(name, data, source, self._partial.title))
            is_fixed = not is_it or pack_sizes(source.cut()) == staging.manifest.sizes
            if self._to.rules is not None:
                self._to.rules.set(name, Rule(chunking=None if is_fixed else "content"))
        return str(self._to.folder / name / self._to.selection.inside)

    def _withhold(self, rules: Rules, name: str) -> None:
        """Have the watcher leave alone what is not all of it, or not yet."""
        rule = rules.of(name)
        if not self._to.selection.is_everything:
            rules.set(name, msgspec.structs.replace(rule, withheld=PART))
        elif self._to.in_place and rule.withheld not in {PART, DAMAGED}:
            withheld = FETCHING if self._spare.is_nothing else REPLACING
            rules.set(name, msgspec.structs.replace(rule, withheld=withheld))

    def _failed(self, error: OSError) -> steps.Event:
        """Return what to say of the first failure, now and whenever something is asked again."""
        assert self._partial is not None
        if self._trouble is None:
            folder = self._to.output.parent if self._to.output else self._to.folder
            trouble = disk_trouble(error, self._partial.name, folder)
            self._trouble = steps.DiskFailed(str(trouble))
        return self._trouble


def _has_this_listing(source: Source, thing: Manifest) -> bool:
    """Say whether there is nothing else in a tree; somebody may just have put it there."""
    if source.listing_bytes != thing.listing_bytes:
        return False

    def read(index: int) -> bytes:
        return source.read(thing.chunk_offset(index), thing.chunk_size(index))

    listing = list(range(thing.listing_chunks))
    return verified_chunks(read, thing, listing) == bitmap.of(listing)
