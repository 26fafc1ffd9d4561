"""The text of a cluster file as a tree of values that know their file, line and key.

Not the schema: which keys there are, and which values they have, is in config.cluster.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml
from shoal.protocol import names
from shoal.protocol.errors import OperatorError

MAX_FILE_BYTES = 128 << 10  # Each command reads it, within 50 ms, and so …
MAX_VALUES = 5_000  # … so many keys and values. Each of 800 nodes has 6; with keys, 600 have 8.
MAX_DEPTH = 8  # The schema needs 4.
PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast.
MAX_SHOWN_CHARACTERS = 80  # So that an error stays one line that can be read.
MAX_SHOWN_CHOICES = 20

_NOT_ALLOWED = yaml.reader.Reader.NON_PRINTABLE
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # Unicode's Cc and Cs.
_SECRET = re.compile(r"(?i)curve-secret:\s*[0-9a-f]*…?")  # Put into the wrong place.
_TEXT = "tag:yaml.org,2002:str"
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_UNTAGGED = ""  # Lists and mappings.
_FLAG, _FLAGS = "tag:yaml.org,2002:bool", ("true", "false")
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
        message = (f"{self.key}: " if self.key else "") + "; ".join(clauses)
        return OperatorError(f"{self.source}:{self.line}: {_SECRET.sub('a secret key', message)}")

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, yaml.MappingNode)

    def number(self, expected: str) -> float:
        """Return the number, which must be in plain decimal: YAML reads 010 as 8."""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag not in _NUMBERS:
            raise self._wrong_kind(expected)
        if not _DECIMAL.fullmatch(self.node.value):
            raise self._wrong_kind(expected)
        return float(self.node.value)

    def flag(self) -> bool:
        """Return true or false.

        Raises:
            OperatorError: it is neither.
        """
        if not isinstance(self.node, yaml.ScalarNode) or self.node.value not in _FLAGS:
            raise self._wrong_kind("true or false")
        return self.node.tag == _FLAG and self.node.value == "true"

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
        if _CONTROL.search(text):
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
    by_folded = {each.casefold(): each for each in all_known}
    import difflib  # noqa: PLC0415 (1 ms, and only a mistake needs it)

    nearest = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.5)
    hint = f"; did you mean {by_folded[nearest[0]]}?" if nearest else ""
    return f"expected one of {listed(all_known)}{hint}"


def listed(known: Sequence[str]) -> str:
    """Return the first names of a list, and how many more there are."""
    more = len(known) - MAX_SHOWN_CHOICES
    return ", ".join(known[:MAX_SHOWN_CHOICES]) + (f" and {more} more" if more > 0 else "")


def shown(text: str) -> str:
    """Return `text` fit for a one-line message."""
    more = "…" if len(text) > MAX_SHOWN_CHARACTERS else ""
    return names.display(text[:MAX_SHOWN_CHARACTERS]) + more


class _Composer:
    """Makes a tree of the parser's events, and refuses anchors, aliases, tags and more documents.

    PyYAML's own composer follows aliases, and takes three times as long.
    """

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._resolve: Any = yaml.resolver.Resolver().resolve
        self._events: Iterator[Any] = yaml.parse(text, Loader=PARSER)
        self._count = 0
        self.line = 1  # That of the last event.

    def document(self) -> yaml.Node | None:
        """Return the top of the only document; None if there is none."""
        self._next()  # The start of the stream.
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        node = self._node(self._next(), 1)
        self._next()  # The end of the document.
        if not isinstance(self._next(), yaml.StreamEndEvent):
            raise self._refusal("found a second document")
        return node

    def _next(self) -> Any:
        """Return the next yaml.Event; which attributes it has depends on its kind."""
        event = next(self._events)
        self.line = event.start_mark.line + 1
        return event

    def _node(self, event: Any, depth: int) -> yaml.Node:
        self._count += 1
        if self._count > MAX_VALUES:
            raise self._refusal(f"found more than {MAX_VALUES} keys and values")
        if isinstance(event, yaml.AliasEvent):
            raise self._refusal(f"found the alias *{event.anchor}")
        if depth > MAX_DEPTH:
            raise self._refusal(f"nested more than {MAX_DEPTH} deep")
        if event.anchor is not None:
            raise self._refusal(f"found the anchor &{event.anchor}")
        if event.tag is not None:
            raise self._refusal(f"found the tag {shown(event.tag)}")
        mark: Any = event.start_mark
        if isinstance(event, yaml.ScalarEvent):
            tag = self._resolve(yaml.ScalarNode, event.value, event.implicit)
            return yaml.ScalarNode(tag, event.value, mark)
        if isinstance(event, yaml.SequenceStartEvent):
            items = self._children(yaml.SequenceEndEvent, depth)
            return yaml.SequenceNode(_UNTAGGED, items, mark)
        children = self._children(yaml.MappingEndEvent, depth)
        pairs = list(zip(children[::2], children[1::2], strict=True))
        return yaml.MappingNode(_UNTAGGED, pairs, mark)

    def _children(self, end: type[yaml.Event], depth: int) -> list[yaml.Node]:
        children = []
        while not isinstance(event := self._next(), end):
            children.append(self._node(event, depth + 1))
        return children

    def _refusal(self, cause: str) -> OperatorError:
        return _not_yaml(self._source, self.line, cause)


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
    wrong = _NOT_ALLOWED.search(text)
    if wrong is not None:
        line = text.count("\n", 0, wrong.start()) + 1
        raise _not_yaml(source, line, f"the character U+{ord(wrong[0]):04X} is not allowed")
    composer = _Composer(text, source)
    try:
        return composer.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.count("\n")) + 1 if mark else 1  # libyaml ends a line later.
        cause = ", ".join(part for part in (error.context, error.problem) if part)
        raise _not_yaml(source, line, cause) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # As for "\UFFFFFFFF".
        raise _not_yaml(source, composer.line, shown(str(error).split("\n")[0])) from None


def _not_yaml(source: str, line: int, cause: str) -> OperatorError:
    return OperatorError(f"{source}:{line}: {cause}; expected one plain YAML document")
