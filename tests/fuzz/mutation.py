"""New inputs from old ones: bits, spans, numbers, and headers that decoders often trip over."""

from collections.abc import Callable, Sequence
from random import Random

LARGEST_BYTES = 1 << 20
BEYOND_BYTES = 16  # What is too long is tried, too.
TOKENS = (
    b"\x00", b"\xff", b"\x80", b"\xc0", b"\xc1", b"\xc4\xff", b"\xc6\xff\xff\xff\xff",
    b"\xc7\x00\x01", b"\xca\x7f\xc0\x00\x00", b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",
    b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xd9\xff", b"\xdb\x7f\xff\xff\xff",
    b"\xdc\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xde\xff\xff", b"\xdf\xff\xff\xff\xff",
    b"\x81\x81\x81\x81", b"\x91" * 40, b"\xa0", b"\xbf", b"../", b"/", b"\\", b"..", b".shoal/",
    b"C:", b"\xed\xa0\x80", b"\xe2\x80\xae", b"\xf0\x9f\x90\x9f", b"b3:", b"0" * 64, b"tcp://",
    b"tcp://[::1]:1", b"NaN", b"1e999", b"-1", b"99999999999999999999", b"{", b"}", b"[", b"]",
    b":", b"- ", b"\n", b"\t", b"&a", b"*a", b"!!python/object:os.system", b"? ", b"<<: ",
    b"%YAML 9.9\n---\n", b"\xef\xbb\xbf", b'"\\UFFFFFFFF"', b"'", b'"', b"#", b"|", b"null",
)  # fmt: skip


def mutated(rng: Random, pool: Sequence[bytes], most_bytes: int = LARGEST_BYTES) -> bytes:
    """Return one of the pool with one to eight changes, hardly longer than a decoder takes."""
    data = bytearray(rng.choice(pool))
    for _ in range(1 << rng.randrange(4)):
        rng.choice(CHANGES)(data, rng, pool)
    return bytes(data[: most_bytes + BEYOND_BYTES])


def _flip(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _number(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    size = rng.choice((2, 4, 8))
    if len(data) >= size:
        at = rng.randrange(len(data) - size + 1)
        value = rng.choice((0, 1, -1, 1 << (8 * size - 1), (1 << (8 * size - 1)) - 1))
        data[at : at + size] = (value % (1 << (8 * size))).to_bytes(size, "big")


def _token(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    token, at = rng.choice(TOKENS), rng.randrange(len(data) + 1)
    data[at : at + (len(token) if rng.randrange(2) else 0)] = token


def _remove(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    start, end = _span(data, rng)
    del data[start:end]


def _repeat(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    start, end = _span(data, rng)
    times = rng.choice((1, 2, 10, 1000))
    if (end - start) * times <= LARGEST_BYTES:
        data[end:end] = data[start:end] * times


def _move(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    start, end = _span(data, rng)
    span = data[start:end]
    del data[start:end]
    at = rng.randrange(len(data) + 1)
    data[at:at] = span


def _splice(data: bytearray, rng: Random, pool: Sequence[bytes]) -> None:
    other = rng.choice(pool)
    start, end = _span(other, rng)
    at = rng.randrange(len(data) + 1)
    data[at : at + rng.choice((0, end - start))] = other[start:end]


def _cut(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _span(data: bytes | bytearray, rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    longest = min(len(data) - start, rng.choice((4, 64, 4096)))
    return start, start + rng.randint(0, longest)


Change = Callable[[bytearray, Random, Sequence[bytes]], None]
CHANGES: tuple[Change, ...] = (
    _flip, _set, _number, _token, _remove, _repeat, _move, _splice, _cut,
)  # fmt: skip
