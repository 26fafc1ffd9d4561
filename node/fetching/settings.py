"""What may differ between fetches. Other limits are constants beside the code that keeps them."""

import msgspec


class FetchSettings(msgspec.Struct, frozen=True):
    """How a fetch behaves. Times in seconds, sizes in bytes."""

    total_window_bytes: int = 48 << 20  # Requested from all holders: what a fetch keeps in memory.
    most_wholes: int = 50  # Whole holders that are asked: as many as the tracker names.
    most_holders: int = 32  # With partial ones, which get half as many places in any case.
    requery_first_s: float = 0.02  # Hosts that start together find each other soon; then doubled …
    requery_s: float = 3.0  # … up to this: new holders are found within 5 s.
    stalled_s: float = 600.0  # A fetch gives up when holders are there, but no new chunk comes.
    shares_already: bool = False  # What is announced of it is not to be withdrawn.
