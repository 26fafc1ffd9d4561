"""Why a command failed on a host, in one line with its remedy: not what else it has said."""

import re

from shoal.hosts.ssh import Outcome

_NO_REASONS = re.compile(  # What ssh and a command's progress say on the side.
    r"Warning: |ControlSocket |mux_client_|debug\d: |Shared connection |Connection to \S+ closed|"
    r"\*\*\* |@@@|.*: \d+ %, "
)
_REMEDIES = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "if that is right, `ssh-keygen -R {host}` first"),
    ("Host key verification failed", "its key is not known here: check it, or pass --accept-new"),
    ("Permission denied (", "`ssh-copy-id {host}`, or load an agent: passwords are not asked for"),
    ("Could not resolve hostname", "correct its address, or say --host NAME=HOST"),
)


def reason(outcome: Outcome) -> str:
    """Return the reason of a failure: what a command calls its error, else its last words."""
    said = [line.strip() for line in outcome.stderr.splitlines() if line.strip()]
    errors = [line.partition("error: ")[2] for line in said if line.startswith("error: ")]
    others = [line for line in said if not _NO_REASONS.match(line)]
    told = (errors or others or said or ["no reason given"])[-1]
    for words, remedy in _REMEDIES:
        if words in outcome.stderr:
            return f"{told.rstrip('.')}; {remedy.format(host=outcome.role.host)}"
    return told
