"""Whether a thing may come in: what of it there is, room and quota, what may be replaced for it.

Decides before the first byte; writes no byte of the thing.
"""

from shoal.node.folder.quota import Quota
from shoal.node.staging.destination import Destination
from shoal.node.staging.remains import note_name
from shoal.node.staging.spare import NOTHING, Spare, remember, remembered
from shoal.node.staging.staged_tree import StagedTree
from shoal.node.trees.part import Lack
from shoal.node.trees.selection import Selection
from shoal.protocol import bitmap
from shoal.protocol.errors import NotFoundError, OperatorError
from shoal.protocol.manifest import ContentId, Manifest
from shoal.protocol.names import display


class Admission:
    """Admits one thing to its destination."""

    def __init__(self, to: Destination, quota: Quota | None = None, spare: Spare = NOTHING) -> None:
        """`spare` may be replaced; at an output that counts only if it is anything."""
        self.spare = spare
        self._to = to
        self._quota = quota if to.output is None else None

    def admit(self, name: str, content_id: ContentId, thing: Manifest) -> None:
        """Let `thing` in, or as much of it as is known before its listing is.

        Raises:
            OperatorError: a file has no such part, or the quota has no room for all of it.
        """
        selection = self._to.selection
        require_such_part(name, thing, selection)
        if self._quota is not None and selection.is_everything:
            self._quota.require(name, thing.size_bytes, staged=content_id)
        if self._to.appears and self.spare.is_nothing:  # An earlier try may have found it spare.
            self.spare = remembered(self._to.staging_place(content_id))

    def note(self, name: str, content_id: ContentId) -> None:
        """Note what is fetched, and what may be replaced, for a later try; raises OSError."""
        place = self._to.staging_place(content_id)
        note_name(place, name)
        if self._to.in_place:
            remember(self.spare, place)

    def admit_part(self, name: str, tree: StagedTree, have: int) -> None:
        """Let in what is selected of a tree that is laid out; `have` is there (protocol.bitmap).

        Raises:
            OperatorError: nothing is selected, a selected link would lead nowhere, or the quota
                has no room.
        """
        selection = self._to.selection
        is_alone = self._to.output is not None and bool(selection.inside)
        require_targets(name, selection, tree.lack(inside_alone=is_alone))
        require_any(name, selection, has_any=tree.has_any)
        if self._quota is not None and not selection.is_everything:
            missing = bitmap.indices(tree.needed & ~have)
            more_bytes = sum(map(tree.manifest.chunk_size, missing))
            self._quota.require(name, more_bytes, replaces=False, staged=tree.id)


def require_such_part(name: str, thing: Manifest, selection: Selection) -> None:
    """Raise OperatorError if a part of a file is selected: it has none."""
    if thing.is_tree or selection.is_everything:
        return
    if selection.inside:
        message = f"no such file was found: {display(f'{name}/{selection.inside}')}"
        raise NotFoundError(f"{message}; {display(name)} is a file")
    message = f"{display(name)} is a file, and can only be fetched as a whole"
    raise OperatorError(f"{message}; leave --include and --exclude out")


def require_any(name: str, selection: Selection, *, has_any: bool) -> None:
    """Raise OperatorError if nothing of a tree is selected."""
    if not has_any:
        message = f"nothing in {display(name)} matches"
        if selection.inside:
            message = f"no such file was found: {display(f'{name}/{selection.inside}')}"
        remedy = f"`shoal fetch {display(name)}` fetches all of it"
        raise NotFoundError(f"{message}; {remedy}")


def require_targets(name: str, selection: Selection, lack: Lack | None) -> None:
    """Raise OperatorError if a selected link leads to something that does not come with it."""
    if lack is None:
        return
    link, target = display(f"{name}/{lack.link}"), display(f"{name}/{lack.target}".rstrip("/"))
    message = f"{link} leads to {target}, which"
    if link == display(f"{name}/{selection.inside}"):
        raise NotFoundError(f"{message} is not there; fetch something else")
    if selection.excludes(lack.target) or selection.excludes(f"{lack.target}/"):
        raise OperatorError(f"{message} --exclude leaves out; exclude the link too")
    part = display(f"{name}/{selection.inside}")
    raise OperatorError(f"{message} is not in {part}; leave out --output, or exclude the link")
