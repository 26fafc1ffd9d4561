"""`shoal keys`: makes the keys of a cluster, and says what to do with them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from shoal.api.keys import KeysMade, KeyWishes, make_keys
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.config.keys import secret_file
from shoal.config.security import TRACKER, Party
from shoal.protocol.keys import public_text
from shoal.protocol.names import display
from shoal.protocol.permits import Role

SHOWN = 8  # Names in a line; the rest are counted.


def run_keys(cluster_file: Path, wishes: KeyWishes, *, as_json: bool) -> ExitCode:
    """Make what is missing; print what was made, where, and what to do next.

    Raises:
        OperatorError: as `make_keys`.
    """
    done = make_keys(cluster_file, wishes)
    if as_json:
        terminal.put_json(_document(cluster_file, done))
        return ExitCode.DONE
    if not done.made:
        terminal.put(f"nothing to do: {_count(done.kept)} in {display(str(cluster_file))}")
    else:
        names = _names([party.name for party in done.made])
        terminal.put(f"made the keys of {names}: secrets in {display(str(done.folder))}")
        terminal.put(f"put their public keys into {display(str(cluster_file))}")
        for line in _next_steps(cluster_file, done):
            terminal.say(line)
    if done.elsewhere:
        terminal.say(f"not here, and left as they are: the secrets of {_names(done.elsewhere)}")
    return ExitCode.DONE


def _next_steps(cluster_file: Path, done: KeysMade) -> Iterator[str]:
    name = display(cluster_file.name)
    secrets = display(done.folder.name)
    yield (
        f"next: copy {name} to every machine, and to each its own {secrets}/NAME.key, readable"
        " by its user alone; `shoal hosts start` does both"
    )
    if done.is_first:
        yield "then restart the tracker and all nodes; nobody without a key is let in any more"
    else:
        yield (
            "then have the tracker and the nodes read it again:"
            " `shoal hosts start`, or SIGHUP to each"
        )
    running = [
        party.name
        for party in done.made
        if party.name in done.replaced and party.role in {TRACKER, Role.NODE}
    ]
    if running:
        yield f"and restart {_names(running)}"


def _count(parties: Sequence[Party]) -> str:
    return f"all {len(parties)} have keys"


def _names(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _document(cluster_file: Path, done: KeysMade) -> dict[str, object]:
    return {
        "cluster_file": str(cluster_file.absolute()),
        "made": [
            {
                "name": party.name,
                "role": party.role,
                "key": public_text(party.key or b""),
                "secret": str(secret_file(cluster_file.absolute(), party.name)),
            }
            for party in done.made
        ],
        "kept": [party.name for party in done.kept],
        "elsewhere": done.elsewhere,
    }
