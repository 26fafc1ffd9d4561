"""What a failure of Redis is called."""

import re
import ssl
import sys
from pathlib import Path

import pytest
from shoal.broker import redis_link
from shoal.broker.redis_link import Link, reason
from shoal.protocol.errors import OperatorError

PAGE = Path(__file__).parents[3] / "docs" / "use" / "redis.md"


def test_every_reason_is_on_the_page() -> None:
    told = PAGE.read_text()
    known = (
        *redis_link._REASONS_BY_CLASS.values(),
        *redis_link._REASONS_BY_CODE.values(),
        *redis_link._REASONS_BY_CAUSE.values(),
        reason(TimeoutError(), 3.0),
        reason(ssl.SSLError(1, "…"), 3.0).partition(" (")[0],
    )
    for each in known:
        assert f"| {each.partition(';')[0]}" in told


def test_a_reason_is_one_short_line() -> None:
    assert reason(ValueError("a\n  b" + "c" * 999), 3.0) == "a b" + "c" * 197


@pytest.mark.parametrize("url", ["redis://", "redis://a:x/0", "redis://a/0?db=x", "http://a"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(OperatorError, match=re.escape("cannot use the store")):
        Link(url, None)


def test_says_how_to_install_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(OperatorError, match=r"not installed; run: pip install 'shoal\[redis\]'"):
        Link("redis://127.0.0.1:1/0", None)
