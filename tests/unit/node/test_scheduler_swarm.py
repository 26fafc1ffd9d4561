"""Which chunk is asked of whom when there are many holders."""

from node.settings import FetchSettings
from tests.unit.node.test_scheduler import Fetch


def test_guesses_more_often_when_there_are_many_holders() -> None:
    """Else it takes long until it is known what most of them have, and they idle."""
    many = " ".join(f"n{number:02}:?" for number in range(40))
    for holders_per_guess, guesses in ((8, 5), (4, 10), (40, 4)):
        settings = FetchSettings(holders_per_guess=holders_per_guess)
        fetch = Fetch(many, sizes=[10] * 80, settings=settings)
        assert len(fetch.scheduler.next_requests(0)) == guesses


def test_offers_a_share_of_what_is_missing_when_it_guesses_among_many() -> None:
    """With 40 holders, and one chunk in 80, hardly any guess would bring something."""
    many = " ".join(f"n{number:02}:?" for number in range(40))
    fetch = Fetch(many, sizes=[10] * 80, settings=FetchSettings(guessed_share=10))
    assert len(fetch.scheduler.next_requests(0)[0].offered) == 8


def test_whose_reply_came_last_is_asked_last() -> None:
    """If it were asked at once, requests would gather where they wait longest."""
    settings = FetchSettings(requests=3, most_requests=3)
    fetch = Fetch("n1 n2 n3 n4 n5", settings=settings)
    assert fetch.asked() == "n1:0 n2:1 n3:2"
    fetch.wait(0.1).deliver("n2")
    assert fetch.asked() == "n4:3"
    fetch.wait(0.1).deliver("n4")
    assert fetch.asked() == "n5:4"
    fetch.wait(0.5).deliver("n1")  # It was asked long ago, but has only now been able to reply.
    assert fetch.asked() == "n2:5"
