"""By which tokens a node is known."""

import pytest
from shoal.broker.tracking.tokens import MOST_SHOWN, NO_TOKENS, Tokens


def test_a_node_that_shows_what_it_was_given_guards_its_name() -> None:
    offered = Tokens(offered="a")
    assert not offered.guard
    assert offered.after("a") == Tokens(("a",))
    assert offered.after("a").guard


def test_while_another_is_on_offer_nothing_is_guarded() -> None:
    tokens = Tokens(("a",), "b")
    assert not tokens.guard
    assert [tokens.has(each) for each in ("a", "b", "c", "")] == [True, True, False, False]


def test_an_elder_token_ends_all_later_ones() -> None:
    tokens = Tokens(("a", "b", "c"), "d")
    assert tokens.after("b") == Tokens(("a", "b"))
    assert [tokens.is_elder(each) for each in ("a", "c", "d", "x")] == [True, True, False, False]
    assert [Tokens(("a", "b")).is_elder(each) for each in ("a", "b")] == [True, False]


def test_impostors_cannot_push_out_the_eldest() -> None:
    tokens = NO_TOKENS
    for token in "abcdefgh":
        tokens = tokens.after(token)
    assert tokens == Tokens(("a", "b", "c", "h"))
    assert len(tokens.shown) == MOST_SHOWN


@pytest.mark.parametrize("shown", [(), ("a",), ("a", "b")])
def test_a_text_says_which_were_shown(shown: tuple[str, ...]) -> None:
    assert Tokens.of(Tokens(shown, "offered").text) == Tokens(shown)
