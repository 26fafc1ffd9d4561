"""Adds entries to the text of a cluster file, and changes nothing else of it.

Not a YAML library's round trip: ruamel.yaml loses comments within {…}, indents anew, and mixes line
ends. Here the parser says where to insert. Reads and writes no files.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

Entries = Mapping[str, "str | Entries"]

_INDENT = 2  # If the file shows none.
_BLOCK_SCALARS = {"|", ">"}


class UnusualFormError(Exception):
    """The text is of a form into which the entries cannot be put."""


class _Edit(NamedTuple):
    start: int  # Of what is replaced, in characters.
    end: int
    text: str


def with_entries(text: str, wanted: Entries) -> str:
    """Return the text of a YAML document with these entries in it, set anew or added.

    Args:
        text: of a mapping, without anchors, aliases and tags.
        wanted: texts, which need no quotes, by key; mappings of such by key.

    Raises:
        UnusualFormError: the result would not be the same document with these entries.
    """
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:  # Such as tabs that libyaml, which has read the file, lets pass.
        raise UnusualFormError from None
    assert isinstance(root, yaml.MappingNode)
    edits: list[_Edit] = []
    _merge(text, root, wanted, edits, root)
    result = _applied(text, edits)
    try:
        found = yaml.safe_load(result)
    except yaml.YAMLError:
        found = None
    if found != _merged(yaml.safe_load(text), wanted):
        raise UnusualFormError
    return result


def _merge(
    text: str, node: yaml.Node, wanted: Entries, edits: list[_Edit], root: yaml.MappingNode
) -> None:
    """Collect the edits of a mapping; those of its children come first."""
    if not isinstance(node, yaml.MappingNode):
        raise UnusualFormError
    children = {key.value: value for key, value in node.value}
    added: dict[str, str | Entries] = {}
    for name, value in wanted.items():
        if name not in children:
            added[name] = value
        elif isinstance(value, str):
            child = children[name]
            edits.append(_Edit(child.start_mark.index, child.end_mark.index, value))
        else:
            _merge(text, children[name], value, edits, root)
    if added and node.flow_style:
        edits.append(_in_flow(node, added))
    elif added:
        edits.append(_in_block(text, node, added, root))


def _in_flow(node: yaml.MappingNode, added: Entries) -> _Edit:
    if not node.value:
        place = node.start_mark.index + 1
        return _Edit(place, place, _flow(added, ""))
    key, value = node.value[-1]
    place = value.end_mark.index
    return _Edit(place, place, f", {_flow(added, key.style or '')}")


def _flow(entries: Entries, quote: str) -> str:
    """Return entries as they are between { and }; quoted as the others are, for JSON's sake."""
    return ", ".join(
        f"{quote}{name}{quote}: "
        + (f"{quote}{value}{quote}" if isinstance(value, str) else f"{{{_flow(value, quote)}}}")
        for name, value in entries.items()
    )


def _in_block(text: str, node: yaml.MappingNode, added: Entries, root: yaml.MappingNode) -> _Edit:
    margin = " " * node.value[0][0].start_mark.column
    lines: list[str] = []
    for name, value in added.items():
        if node is not root or isinstance(value, str):
            lines.append(margin + _flow({name: value}, ""))
            continue
        if any(not line.strip() for line in text[: _end(text, node)].splitlines()):
            lines.append("")  # As between the other sections.
        lines.append(f"{margin}{name}:")
        step = margin + " " * _indent(root)
        lines += [step + _flow({key: inner}, "") for key, inner in value.items()]
    place = _end_of_line(text, _end(text, node))
    line_end = "\r\n" if "\r\n" in text else "\n"
    return _Edit(place, place, "".join(line_end + line for line in lines))


def _indent(root: yaml.MappingNode) -> int:
    for _, value in root.value:
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            return value.start_mark.column - root.start_mark.column
    return _INDENT


def _end(text: str, node: yaml.Node) -> int:
    """Return where a node ends. That of a block, as the parser has it, is after later comments."""
    if isinstance(node, yaml.ScalarNode):
        end: int = node.end_mark.index
        return len(text[:end].rstrip()) if node.style in _BLOCK_SCALARS else end
    assert isinstance(node, yaml.CollectionNode)
    if node.flow_style or not node.value:
        after: int = node.end_mark.index
        return after
    last = node.value[-1]
    return _end(text, last[1] if isinstance(node, yaml.MappingNode) else last)


def _end_of_line(text: str, start: int) -> int:
    ends = [end for mark in "\r\n" if (end := text.find(mark, start)) >= 0]
    return min(ends, default=len(text))


def _applied(text: str, edits: Sequence[_Edit]) -> str:
    pieces, done = [], 0
    for start, end, new in sorted(edits, key=lambda edit: edit.start):  # Stable.
        pieces += [text[done:start], new]
        done = end
    return "".join([*pieces, text[done:]])


def _merged(data: Any, wanted: Entries) -> Any:
    """Return what the document should be, as plain data."""
    merged = copy.copy(data)
    for name, value in wanted.items():
        merged[name] = value if isinstance(value, str) else _merged(merged.get(name, {}), value)
    return merged
