"""A download's bytes on their way to the disk: staged, written, and served to others meanwhile.

Admission says whether they may come in, publication makes the thing known. Knows no holders.
"""

import errno
import time
from collections.abc import Callable, Iterable

from shoal.node.fetching import steps
from shoal.node.folder.whole import Whole
from shoal.node.scheduling.wanted import Twins
from shoal.node.staging.admission import Admission
from shoal.node.staging.destination import Destination
from shoal.node.staging.partial import PartialFile
from shoal.node.staging.publication import Publication
from shoal.node.staging.reuse import Find, chunks_of, copy_chunks
from shoal.node.staging.room import disk_trouble
from shoal.node.staging.staged_file import StagedFile
from shoal.node.staging.staged_tree import StagedTree
from shoal.node.staging.tree_in_place import TreeInPlace
from shoal.node.staging.write_behind import WriteBehind
from shoal.protocol import bitmap
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.listing import checked


class Intake:
    """The bytes of one download, from `open` to `close`."""

    def __init__(
        self,
        to: Destination,
        admission: Admission,
        publication: Publication,
        held: Find = lambda _: (),
        older: Iterable[Whole] = (),
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Chunks that are `held`, or in `older` versions, are copied.

        `check` is called again and again in what takes long; it raises an error to stop it.
        """
        self.writing_s = 0.0  # How long the fetch has waited for the disk so far.
        self.tell: Callable[[], None] = _nobody  # That chunks can be read, or no more will come.
        self._to = to
        self._admission = admission
        self._publication = publication
        self._held = held
        self._older = older
        self._check = check
        self._behind = WriteBehind()
        self._staged: StagedFile | StagedTree | None = None
        self._partial: PartialFile | None = None
        self._twins: Twins | None = None
        self._have = 0  # Chunks that are written (protocol.bitmap), whatever the download believes.
        self._trouble: steps.DiskFailed | None = None  # The first: nothing is written after it.

    def open(self, action: steps.OpenStaging) -> steps.Event:
        """Make room, and have what is there already served.

        Raises:
            BeingFetchedError: the same content is being fetched by another order.
            OperatorError: it may not come in.
        """
        name = action.name
        self._admission.admit(name, action.id, action.manifest)
        self._staged = self._room_for(name, action)
        self._partial = self._publication.begin(name, self._staged)
        self._twins = Twins(action.manifest)
        try:
            have = self._staged.open()
            self._admission.note(name, action.id)
            return self._opened(have, is_all=not action.manifest.is_tree)
        except OSError as error:
            return self._failed(error)

    def lay_out(self) -> steps.Event:
        """Make room for the files of the tree, whose listing is there; raises as `open`."""
        assert isinstance(self._staged, StagedTree)
        assert self._partial is not None
        try:
            self._behind.settle()
            self._publication.withhold(self._admission.spare)
            have = self._staged.lay_out()
            self._admission.admit_part(self._partial.name, self._staged, have)
            return self._opened(have, is_all=True)
        except MalformedMessageError as error:
            return steps.ListingRefused(str(error))
        except OSError as error:
            return self._failed(error)

    def store(self, index: int, payload: memoryview) -> steps.Event | None:
        """Write a verified chunk wherever it belongs, soon, and serve it from then on."""
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

    def publish(self) -> steps.Event:
        """Put the whole thing in place, unless a chunk of it was not written.

        What was found corrupt on the disk meanwhile is to be fetched again first.

        Raises:
            OperatorError: something has its name that must not be replaced.
        """
        assert self._staged is not None
        began = time.monotonic()
        try:
            self._behind.settle()
            if self._trouble is not None:
                return self._trouble
            if self._staged.needed & ~self._have:
                return self._failed(OSError(errno.EIO, "not everything was written"))
            if self._partial is not None and self._partial.corrupt:
                return self._again(self._partial)
            place = self._publication.publish(self._staged, self._admission.spare)
            return steps.Published(str(place))
        except OSError as error:
            return self._failed(error)
        finally:
            self.writing_s += time.monotonic() - began

    def close(self) -> None:
        """Close the files; what is incomplete stays for the next try."""
        self._behind.close()
        self._publication.end()
        if self._staged is not None:
            self._staged.close()
        self.tell()

    def _again(self, partial: PartialFile) -> steps.StagingOpened:
        """Return what is there after all: of a tree, as another try would find it."""
        assert self._staged is not None
        have = self._have & ~partial.corrupt
        if isinstance(self._staged, StagedTree):
            have = self._staged.lay_out()
        partial.accept(have)
        self._have = have
        return steps.StagingOpened(have, self._staged.needed)

    def _room_for(self, name: str, action: steps.OpenStaging) -> StagedFile | StagedTree:
        to, thing = self._to, action.manifest
        place = to.staging_place(action.id).parent
        if not thing.is_tree:
            return StagedFile(place, action.id, thing, check=self._check, reserves=to.reserves)
        in_place = None
        if to.appears:
            spare = self._admission.spare
            in_place = TreeInPlace(to.folder, name, spare, keeps_others=to.heals)
        return StagedTree(place, action.id, thing, to.selection, in_place, check=self._check)

    def _opened(self, have: int, *, is_all: bool) -> steps.StagingOpened:
        """Copy what is in the folder already, and serve what is there so far."""
        assert self._staged is not None
        assert self._partial is not None
        thing, needed = self._staged.manifest, self._staged.needed
        have |= self._filled(have)
        missing = needed & ~have
        if missing:
            older, held = chunks_of(self._older), self._held
            have |= copy_chunks(
                thing,
                missing,
                lambda one: (*older(one), *held(one)),
                self._staged.write,
                self._check,
            )
        self._have = self._partial.have = have
        self.tell()
        turns = self._staged.turns if isinstance(self._staged, StagedTree) else ()
        return steps.StagingOpened(have, needed, is_all, turns)

    def _filled(self, have: int) -> int:
        """Write the missing chunks whose bytes are in another one that is there; return them."""
        assert self._staged is not None
        assert self._twins is not None
        missing = self._twins.with_all(have) & self._staged.needed & ~have
        for index in checked(bitmap.indices(missing), self._check):
            known = bitmap.lowest(self._twins.of(index) & have)
            self._staged.write(index, self._staged.read(known))
        return missing

    def _places(self, index: int) -> list[int]:
        """Return a chunk that has come, and the missing ones with the same bytes."""
        assert self._staged is not None
        assert self._twins is not None
        missing = self._twins.of(index) & self._staged.needed & ~self._have
        return list(bitmap.indices(missing | 1 << index))

    def _write(self, places: list[int], payload: memoryview) -> None:
        assert self._staged is not None
        assert self._partial is not None
        for index in places:
            self._staged.write(index, payload)
            self._have |= 1 << index
            self._partial.have = self._have
        self.tell()

    def _failed(self, error: OSError) -> steps.Event:
        """Return what to say of the first failure, now and whenever something is asked again."""
        assert self._partial is not None
        if self._trouble is None:
            folder = self._to.output.parent if self._to.output else self._to.folder
            trouble = disk_trouble(error, self._partial.name, folder)
            self._trouble = steps.DiskFailed(str(trouble), trouble.brief)
        return self._trouble


def _nobody() -> None:
    """Tell nobody that there is news."""
