"""Why what was asked for of a thing cannot be taken in: it is not there, or there is no room."""

from pathlib import Path

from shoal.node.folder.quota import Quota
from shoal.node.trees.part import Lack
from shoal.node.trees.selection import Selection
from shoal.protocol.errors import NotFoundError, OperatorError
from shoal.protocol.manifest import Manifest
from shoal.protocol.names import display


def require_room(
    name: str, thing: Manifest, selection: Selection, quota: Quota | None, staged: str = ""
) -> None:
    """Raise OperatorError if a file has no such part, or `quota` has no room for all of it.

    What has come already of the thing with the id `staged` does not count twice.
    """
    is_partly = not selection.is_everything
    if selection.inside and not thing.is_tree:
        message = f"no such file was found: {display(f'{name}/{selection.inside}')}"
        raise NotFoundError(f"{message}; {display(name)} is a file")
    if is_partly and not thing.is_tree:
        message = f"{display(name)} is a file, and can only be fetched as a whole"
        raise OperatorError(f"{message}; leave --include and --exclude out")
    if quota is not None and not is_partly:
        quota.require(name, thing.size_bytes, staged=staged)


def require_any(name: str, selection: Selection, *, has_any: bool) -> None:
    """Raise OperatorError if nothing of a tree was selected."""
    if not has_any:
        message = f"nothing in {display(name)} matches"
        if selection.inside:
            message = f"no such file was found: {display(f'{name}/{selection.inside}')}"
        remedy = f"`shoal fetch {display(name)}` fetches all of it"
        raise NotFoundError(f"{message}; {remedy}")


def require_targets(name: str, selection: Selection, lack: Lack | None) -> None:
    """Raise OperatorError if a link that was selected leads to what is not to come with it."""
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


def in_the_way(name: str, folder: Path) -> OperatorError:
    """Return what to say of something that has the name now, and may not be replaced."""
    message = f"{folder} already has a different {display(name)} that appeared while it was fetched"
    remedy = "what has arrived is kept: move it and run it again, or pass --force"
    return OperatorError(f"{message}; {remedy}")
