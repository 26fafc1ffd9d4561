"""Which uploads are worth a log line."""

from shoal.node.serving.uploads import ALWAYS, BURST, BURST_S, EARLY, MAX_CONVERSATIONS, Uploads


def test_of_a_crowd_only_so_many_are_logged_at_once() -> None:
    uploads = Uploads(every_s=1.0)
    said = [uploads.is_news("a.bin", f"n{number}", 5.0) for number in range(100)]
    assert all(said[:BURST])
    assert not any(said[BURST:])
    assert uploads.is_news("a.bin", "n99", 5.0 + BURST_S)


def test_the_first_chunks_for_a_few_askers_are_always_logged() -> None:
    uploads = Uploads(every_s=1.0)
    assert all(uploads.is_news(name, "n1", 5.0) for name in ("a.bin", "b.bin", "c.bin") * EARLY)
    assert all(uploads.is_news(name, "n2", 5.0) for name in ("a.bin", "b.bin") * ALWAYS)
    assert not uploads.is_news("a.bin", "n2", 5.0)


def test_remembers_only_so_many_askers() -> None:
    uploads = Uploads(every_s=1.0)
    for number in range(2 * MAX_CONVERSATIONS):
        assert uploads.is_news("a.bin", f"n{number}", number * BURST_S)
    assert len(uploads._said) == MAX_CONVERSATIONS


def test_all_are_news_if_that_is_wished() -> None:
    uploads = Uploads(0.0)
    assert all(uploads.is_news("a", "n1", 0.0) for _ in range(100))
