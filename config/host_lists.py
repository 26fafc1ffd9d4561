"""Host lists as Slurm and ClusterShell write them: `pc[01-40],gpu-[1-8]`. Looks nothing up."""

import re
from collections.abc import Iterable

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException
from shoal.config.document import shown
from shoal.config.security import is_name
from shoal.protocol.errors import OperatorError

MAX_HOSTS = 800  # As many nodes as a cluster file may have.
EXAMPLE = "as in pc[01-40],lab-7"

# What ClusterShell reads besides: groups (@all), wildcards, and sets less others (a!b, a^b, a&b).
_ALLOWED = re.compile(r"[A-Za-z0-9._\[\]/,-]+")
_PATTERN = re.compile(r"(?:[^\[\],]|\[[^\[\]]*\])+")
_SPAN = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?:/([0-9]{1,9}))?)?")  # 1, 01-40, 0-98/2
_RANGE = re.compile(r"\[([^\[\]]*)\]")


def hosts_in(texts: Iterable[str]) -> list[str]:
    """Return the hosts that host lists name, in their order and each once.

    Raises:
        OperatorError: one is not a host list, or they name more than MAX_HOSTS.
    """
    hosts: dict[str, None] = {}
    for text in texts:
        for pattern in _patterns(text):
            hosts.update(dict.fromkeys(_expanded(pattern, text)))
            if len(hosts) > MAX_HOSTS:
                raise _too_many(text)
    return list(hosts)


def _patterns(text: str) -> list[str]:
    """Return the parts between the commas that are in no bracket."""
    if not _ALLOWED.fullmatch(text):
        raise _wrong(text, "hosts have letters, digits, `.`, `_` and `-` only")
    patterns = _PATTERN.findall(text)
    if ",".join(patterns) != text:
        raise _wrong(text, "a bracket or a name is missing")
    return patterns


def _expanded(pattern: str, text: str) -> list[str]:
    if _count(pattern, text) > MAX_HOSTS:
        raise _too_many(text)
    try:
        hosts = list(map(str, NodeSet(pattern, resolver=RESOLVER_NOGROUP)))
    except (NodeSetException, ValueError) as error:
        reason = " ".join(str(error).replace('"', "").split())
        raise _wrong(text, reason) from None
    for host in hosts:
        if not is_name(host):
            raise _wrong(text, f"{shown(host)} cannot be a node's name")
    return hosts


def _count(pattern: str, text: str) -> int:
    """Return about how many hosts a pattern names: expanding millions would take minutes."""
    count = 1
    for ranges in _RANGE.findall(pattern):
        count *= sum(_span(span, text) for span in ranges.split(","))
    return count


def _span(span: str, text: str) -> int:
    found = _SPAN.fullmatch(span)
    if found is None:
        raise _wrong(text, f"{span or 'nothing'} in brackets is no range")
    first, last, step = found.groups()
    return (int(last or first) - int(first)) // max(1, int(step or 1)) + 1


def _too_many(text: str) -> OperatorError:
    message = f"{shown(text)} names more than {MAX_HOSTS} hosts, which no cluster file can hold"
    remedy = "write the file of a part of them; the tracker accepts nodes that its file lacks"
    return OperatorError(f"{message}; {remedy}")


def _wrong(text: str, reason: str) -> OperatorError:
    message = f"`{shown(text)}` is not a host list: {shown(reason)}"
    return OperatorError(f"{message}; expected one, {EXAMPLE}")
