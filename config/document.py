"""The text of a cluster file as a tree of values that know their file, line and key.

Not the schema: which keys there are, and which values they have, is in config.cluster.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec
import yaml
from shoal.protocol import names
from shoal.protocol.errors import OperatorError

MAX_FILE_BYTES = 1 << 20  # Room for some ten thousand nodes; PyYAML takes seconds for as much.
MAX_DEPTH = 8  # The schema needs 4. PyYAML recurses: unlimited depth would exhaust the stack.
MAX_SHOWN_CHARACTERS = 80  # So that an error stays one line that can be read.
MAX_SHOWN_CHOICES = 20

_TEXT = "tag:yaml.org,2002:str"
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_NULL = "tag:yaml.org,2002:null"
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,300})(\.[0-9]+)?", re.ASCII)
_MERGE = "tag:yaml.org,2002:merge"
_KINDS = {
    _TEXT: "the text",
    "tag:yaml.org,2002:bool": "the truth value",
    "tag:yaml.org,2002:int": "the number",
    "tag:yaml.org,2002:float": "the number",
    "tag:yaml.org,2002:timestamp": "the date",
}


class Value(msgspec.Struct, frozen=True):
    """One value of the document. Its methods raise OperatorError if it is of another kind."""

    source: str  # the file, as messages name it
    line: int  # of its key, counted from 1
    key: str  # from the top, as in nodes.n1.address; empty for the whole document
    node: yaml.Node

    def error(self, *clauses: str) -> OperatorError:
        """Return the error that says, of this value, what was found and what is expected."""
        place = f"{self.source}:{self.line}: "
        return OperatorError(place + (f"{self.key}: " if self.key else "") + "; ".join(clauses))

    def number(self, expected: str) -> float:
        """Return the number, which must be in plain decimal: YAML reads 010 as 8."""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag not in _NUMBERS:
            raise self._wrong_kind(expected)
        if not _DECIMAL.fullmatch(self.node.value):
            raise self._wrong_kind(expected)
        return float(self.node.value)

    def text(self, expected: str) -> str:
        """Return the text, which must not be empty or have control characters."""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag == _NULL:
            raise self._wrong_kind(expected)
        if self.node.tag != _TEXT:
            hint = f'if a text is meant, quote it: "{shown(self.node.value)}"'
            raise self.error(self._found(), f"expected {expected}", hint)
        text: str = self.node.value
        if not text.strip():
            raise self.error("found an empty text", f"expected {expected}")
        if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
            found = f"found a control character in {shown(text)}"
            raise self.error(found, f"expected {expected}")
        return text

    def items(self, expected: str) -> list["Value"]:
        if not isinstance(self.node, yaml.SequenceNode):
            raise self._wrong_kind(expected)
        return [self._child(item, item, self.key) for item in self.node.value]

    def entries(self, expected: str) -> dict[str, "Value"]:
        """Return the entries of a mapping in the file's order; no key may appear twice."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self._wrong_kind(expected)
        entries: dict[str, Value] = {}
        for key_node, value_node in self.node.value:
            if key_node.tag == _MERGE:
                raise self._child(key_node, key_node, self.key).error(
                    "found the merge key <<", "expected each key written out"
                )
            name = self._child(key_node, key_node, self.key).text("a text as key")
            child = self._child(key_node, value_node, f"{self.key}.{shown(name)}".lstrip("."))
            if name in entries:
                found = f"found a second time, after line {entries[name].line}"
                raise child.error(found, "expected once")
            entries[name] = child
        return entries

    def fields(
        self, required: Collection[str], optional: Collection[str] = ()
    ) -> dict[str, "Value"]:
        """Return the entries of a mapping that may only have these keys."""
        known = [*required, *optional]
        fields = self.entries(f"a mapping with the keys {', '.join(known)}")
        for name, value in fields.items():
            if name not in known:
                raise value.error("unknown key", choices(name, known))
        for name in required:
            if name not in fields:
                raise self.error(f"no key {name}", f"expected the keys {', '.join(required)}")
        return fields

    def _child(self, place: yaml.Node, node: yaml.Node, key: str) -> "Value":
        return Value(self.source, place.start_mark.line + 1, key, node)

    def _wrong_kind(self, expected: str) -> OperatorError:
        return self.error(self._found(), f"expected {expected}")

    def _found(self) -> str:
        if isinstance(self.node, yaml.MappingNode):
            return "found a mapping"
        if isinstance(self.node, yaml.SequenceNode):
            return "found a list"
        if self.node.tag == _NULL:
            return "found nothing"
        return f"found {_KINDS.get(self.node.tag, 'the special value')} {shown(self.node.value)}"


def read(path: Path) -> Value:
    """Return the whole document in the file at `path`.

    Raises OperatorError, which names `path` as it was given, where the file cannot be read or is
    not one plain YAML document in UTF-8: anchors, aliases and tags are refused.
    """
    source = names.display(str(path))
    text = _decoded(_content(path, source), source)
    node = _composed(text, source)
    if node is None or node.tag == _NULL:
        raise OperatorError(f"{source}:1: the file is empty; expected a cluster file")
    return Value(source, node.start_mark.line + 1, "", node)


def choices(name: str, known: Iterable[str]) -> str:
    """Return a phrase with the names that there are, and the one nearest to `name`."""
    all_known = list(known)
    more = len(all_known) - MAX_SHOWN_CHOICES
    listed = ", ".join(all_known[:MAX_SHOWN_CHOICES]) + (f" and {more} more" if more > 0 else "")
    by_folded = {each.casefold(): each for each in all_known}
    import difflib  # noqa: PLC0415 (1 ms, and only a mistake needs it)

    nearest = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.5)
    hint = f"; did you mean {by_folded[nearest[0]]}?" if nearest else ""
    return f"expected one of {listed}{hint}"


def shown(text: str) -> str:
    """Return `text` fit for a one-line message."""
    more = "…" if len(text) > MAX_SHOWN_CHARACTERS else ""
    return names.display(text[:MAX_SHOWN_CHARACTERS]) + more


class _Composer(yaml.SafeLoader):
    """Composes nodes, and refuses anchors, aliases and tags."""

    def __init__(self, text: str, source: str) -> None:
        super().__init__(text)
        self._source = source
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if self._depth == MAX_DEPTH:
            raise self._refusal(event, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            raise self._refusal(event, f"found the alias *{event.anchor}")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise self._refusal(event, f"found the anchor &{event.anchor}")
        if (
            isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
            and event.tag is not None
        ):
            raise self._refusal(event, f"found the tag {shown(event.tag)}")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refusal(self, event: yaml.Event, cause: str) -> OperatorError:
        assert event.start_mark is not None
        return _not_yaml(self._source, event.start_mark.line + 1, cause)


def _content(path: Path, source: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except IsADirectoryError:
        raise OperatorError(f"{source}: is a directory; expected a cluster file") from None
    except OSError as error:
        cause = error.strerror or str(error)
        raise OperatorError(f"{source}: cannot be read: {cause}; expected a file") from None
    if len(content) > MAX_FILE_BYTES:
        limit = f"expected at most {MAX_FILE_BYTES} bytes"
        raise OperatorError(f"{source}: is too large for a cluster file; {limit}")
    return content


def _decoded(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        cause = f"the byte 0x{content[error.start]:02x} is not UTF-8"
        raise _not_yaml(source, line, cause) from None


def _composed(text: str, source: str) -> yaml.Node | None:
    try:
        loader = _Composer(text, source)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        cause = f"the character U+{ord(text[error.position]):04X} is not allowed"
        raise _not_yaml(source, line, cause) from None
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        cause = ", ".join(part for part in (error.context, error.problem) if part)
        raise _not_yaml(source, mark.line + 1 if mark else 1, cause) from None
    except (
        ValueError,
        OverflowError,
    ) as error:  # Errors that PyYAML lets through, as for "\UFFFFFFFF".
        raise _not_yaml(source, loader.line + 1, shown(str(error))) from None


def _not_yaml(source: str, line: int, cause: str) -> OperatorError:
    return OperatorError(f"{source}:{line}: {cause}; expected one plain YAML document")
