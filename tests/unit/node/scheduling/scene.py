"""A scheduler and what it asks, drawn as `holder:chunk`."""

from shoal.node.scheduling.requests import Request
from shoal.node.scheduling.scheduler import Scheduler
from shoal.protocol import bitmap

from tests.unit.node.things import bits, made_of, rng, thing


class Fetch:
    """A scheduler, its clock, and the requests that are out."""

    def __init__(
        self,
        holders: str,
        missing: str = "",
        *,
        sizes: list[int] | None = None,
        window_bytes: int = 80,
        letters: str = "",
    ) -> None:
        """`n1:02` has chunks 0 and 2, `n1` all of them, `n1:?` some that are not known yet.

        Chunks are equal if their `letters` are.
        """
        self.now = 0.0
        self.sizes = sizes or [10] * (len(letters) or 10)
        everything = bitmap.full(len(self.sizes))
        have = everything & ~bits(missing) if missing else 0
        self.scheduler = Scheduler(
            made_of(letters) if letters else thing(self.sizes),
            have,
            everything,
            rng(),
            window_bytes,
        )
        self.out: list[Request] = []
        for text in holders.split():
            self.add(text)

    def add(self, text: str) -> None:
        node, _, chunks = text.partition(":")
        self.scheduler.add(node, self.now, complete=not chunks)
        if chunks.strip("?"):
            self.scheduler.learn(node, bits(chunks).to_bytes(2, "little"), self.now)

    def asked(self) -> str:
        """Return what is asked now."""
        requests = self.scheduler.next_requests(self.now)
        self.out += requests
        return drawn(requests)

    def request_to(self, node: str) -> Request:
        """Take the oldest request to `node` off those that are out."""
        request = next(request for request in self.out if request.node == node)
        self.out.remove(request)
        return request

    def deliver(self, node: str, index: int | None = None) -> bool:
        request = self.request_to(node)
        chunk = request.index if index is None else index
        return bool(self.scheduler.received(node, request.request_id, chunk, self.now))

    def has_nothing(self, node: str, have: str) -> None:
        request = self.request_to(node)
        said = bits(have).to_bytes(2, "little")
        self.scheduler.had_nothing(node, request.request_id, said, self.now)

    def wait(self, seconds: float) -> "Fetch":
        self.now += seconds
        return self


def drawn(requests: list[Request]) -> str:
    """Draw requests: the first that each holder gets, in the order of their names."""
    each = (f"{request.node}:{request.index}" for request in requests)
    return " ".join(sorted(each, key=lambda text: text.split(":")[0]))
