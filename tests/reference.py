"""`python -m tests.reference` writes docs/use/python-reference.md from the docstrings."""

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import shoal

PAGE = Path(__file__).parents[1] / "docs/use/python-reference.md"
HEAD = """\
# The library, name by name

How to use it: [From Python](python.md). Made from the docstrings by `python -m tests.reference`.
"""
WIDTH = 118
SECTION = re.compile(r"^(Args|Raises):\n", re.MULTILINE)
ITEM = re.compile(r"^    (\S[^:]*): ", re.MULTILINE)
WITHIN = {"contents"}  # For shoal's own use.
INSTANCES = {"Session": "session", "Reader": "reader"}


@dataclasses.dataclass(frozen=True)
class _Told:
    """A docstring taken apart: what comes first, and the items of its sections."""

    text: str
    arguments: list[tuple[str, str]]
    errors: list[tuple[str, str]]

    @classmethod
    def of(cls, thing: Any) -> "_Told":
        text, *rest = SECTION.split(inspect.cleandoc(thing.__doc__ or ""))
        sections = dict(zip(rest[::2], rest[1::2], strict=True))
        return cls(text.strip(), *(_items(sections.get(name, "")) for name in ("Args", "Raises")))


def _items(section: str) -> list[tuple[str, str]]:
    _, *rest = ITEM.split(section)
    texts = (" ".join(text.split()).rstrip(".") for text in rest[1::2])
    return list(zip(rest[::2], texts, strict=True))


def _wrapped(text: str, indent: str = "") -> str:
    paragraphs = (" ".join(one.split()) for one in text.split("\n\n"))
    return "\n\n".join(
        textwrap.fill(
            one, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        for one in paragraphs
    )


def _function(name: str, function: Any) -> Iterator[str]:
    told = _Told.of(function)
    signature = inspect.signature(function)
    shown = [
        one.replace(annotation=inspect.Parameter.empty)
        for one in signature.parameters.values()
        if one.name != "self"
    ]
    parameters = str(inspect.Signature(shown)).replace("'", '"')
    line = f"{name}{parameters}"
    if len(line) < WIDTH:
        yield f"**`{line}`**"
    else:
        yield "\n".join(["```text", *textwrap.wrap(line, WIDTH, subsequent_indent="    "), "```"])
    yield ""
    yield _wrapped(told.text)
    yield ""
    for key, text in told.arguments:
        yield _wrapped(f"- `{key}`: {text}", "  ")
    if told.errors:
        named = ("`" + key.replace(", ", "`, `") + f"`: {text}" for key, text in told.errors)
        yield _wrapped(f"- raises {'; '.join(named)}", "  ")


def _methods(kind: type) -> Iterator[str]:
    name = INSTANCES[kind.__name__]
    for key, value in vars(kind).items():
        if key.startswith("_") or key in WITHIN:
            continue
        if isinstance(value, property):
            yield f"**`{name}.{key}`**: {_Told.of(value).text}"
        elif inspect.isfunction(value):
            yield "\n".join(_function(f"{name}.{key}", value))


def page() -> str:
    """Return the page."""
    parts = [HEAD, "\n".join(_function("shoal.connect", shoal.connect))]
    for kind in (shoal.Session,):
        parts += [f"## {kind.__name__}", _wrapped(_Told.of(kind).text), *_methods(kind)]
    parts.append("## What it returns")
    for record in (shoal.Thing, shoal.File, shoal.Place, shoal.Progress, shoal.Delivery):
        fields = ", ".join(f"`{one}`" for one in record.__struct_fields__)
        parts.append(_wrapped(f"**`{record.__name__}`** ({fields}): {_Told.of(record).text}"))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
