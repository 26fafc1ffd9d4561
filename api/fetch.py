"""Fetching, by a node on this machine."""

from pathlib import Path

import msgspec
from shoal.api.local_node import OnProgress, Worker, ignore
from shoal.api.patterns import check_patterns
from shoal.api.what import checked_what
from shoal.node.files.outside import check_output
from shoal.node.orders import elsewhere
from shoal.node.trees.selection import Selection
from shoal.protocol.control import Fetched, FetchOrder
from shoal.protocol.errors import OperatorError


class FetchOptions(msgspec.Struct, frozen=True):
    """The options of `shoal fetch`."""

    output: Path | None = None  # Where to put it, instead of into the node's folder.
    force: bool = False  # Overwrite a local file even if no other node has a copy.
    include: tuple[str, ...] = ()  # Of a directory only this; patterns as in .gitignore.
    exclude: tuple[str, ...] = ()
    in_place: bool = False  # A directory's files appear one by one.
    offline: bool = False  # Use what the folder has; do not ask for a newer version.
    limit: int | None = None  # What it may receive at most, in bytes/s.
    to: Path | None = None  # Where to put it, to be served from there.


def fetch(
    node: Worker,
    what: str,
    options: FetchOptions = FetchOptions(),  # noqa: B008 (frozen)
    on_progress: OnProgress = ignore,
) -> Fetched:
    """Have a node fetch something; return what came, from whom, and how long it took.

    An interrupted fetch is resumed.

    Args:
        node: one that was opened.
        what: a name, an id, NAME@ID, or a path in a directory, as in photos/2024.
        options: how.
        on_progress: told how far it is.

    Raises:
        NotFoundError: no node has it, as far as the tracker knows.
        NobodyAliveError: no node that has it is alive.
        IntegrityError: no holder could deliver the right bytes.
        TimedOutError: there are holders, but no new data for a long time (`limits.stalled_s`).
        DiskError: the disk is full, the quota is used up, or the folder is not writable.
        TrackerError: the tracker does not answer, or its answers make no sense.
        OperatorError: as `check`; a different file is in the way; or as `Worker.carry_out`.
    """
    done = node.carry_out(_order(what, options), on_progress)
    assert isinstance(done, Fetched)
    return done


def check(what: str, options: FetchOptions) -> None:
    """Raise OperatorError if `fetch` would refuse these arguments, whoever holds what."""
    _order(what, options)


def _order(what: str, options: FetchOptions) -> FetchOrder:
    what = checked_what(what)
    check_patterns("--include", options.include)
    check_patterns("--exclude", options.exclude)
    output = options.output or options.to
    if output is not None:
        _require_meaningful(options)
        output = output.absolute()
    if options.output is not None:
        check_output(options.output.absolute(), may_replace=options.force)
    return FetchOrder(
        what,
        str(output) if output else None,
        options.force,
        options.include,
        options.exclude,
        options.in_place,
        options.offline,
        options.limit,
        options.to is not None,
    )


def _require_meaningful(options: FetchOptions) -> None:
    given = "--output" if options.output is not None else "--to"
    for option, is_given in (("--in-place", options.in_place), ("--offline", options.offline)):
        if is_given:
            message = f"{option} applies to the node's folder, and {given} leads elsewhere"
            raise OperatorError(f"{message}; leave one of them out")
    if options.to is not None:
        if options.output is not None:
            raise OperatorError("--output shares nothing, and --to does; leave one of them out")
        elsewhere.require_all(Selection(options.include, options.exclude))
