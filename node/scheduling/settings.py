"""The limits a node keeps, each with its reason. Values only."""

import msgspec


class FetchSettings(msgspec.Struct, frozen=True):
    """How a download behaves. Times in seconds, sizes in bytes."""

    window_bytes: int = 16 << 20  # One holder: hides 16 ms at 1 GB/s; 50 of them are never full.
    total_window_bytes: int = 48 << 20  # All holders: what a fetch may hold in memory.
    window_requests: int = 16  # A holder queues 64 replies; REP loses some above half of that.
    calm_latency_s: float = 0.15  # A window is filled while replies come back sooner than this …
    queued_latency_s: float = 0.6  # … and cut when they take longer: the link is full anyway.
    far_s: float = 0.02  # A round trip from which on a holder is far, and counted out of both …
    far_window_bytes: int = 512 << 10  # … and so much at least on its way: 20 Mbit/s at 200 ms.
    guesses: int = 8  # At a time, of holders that are not known to have anything.
    requests: int = 16  # To all holders: more would only wait in their queues …
    most_requests: int = 20  # … but one for each holder, up to this.
    most_wholes: int = 50  # Holders of all of it that are asked: as many as the tracker names (S8).
    most_holders: int = 32  # With those of a part, of whom half as many have a place in any case:
    widened_holders: int = 4  # more bring no more. Times as many, if these bring nothing for long.
    first_patience_s: float = 5.0  # Before anything is known of a holder, …
    first_patience_bytes: int = 160 << 10  # … for chunks of up to this, and the more for longer.
    least_patience_s: float = 1.0  # Below it a busy machine looks dead.
    most_patience_s: float = 30.0
    patience_latencies: float = 4.0  # Overdue: four times the usual, …
    queued_chunks: int = 16  # … or what so many chunks (`requests`) take at the best pace so far.
    give_up_s: float = 60.0  # Silent for so long: lost. Doubled each time, for very slow links …
    most_give_up_s: float = 960.0  # … up to this: 1 MiB at 9 kbit/s.
    hedge_latencies: float = 2.0  # An idle holder takes over what is so much slower than itself …
    hedge_least_s: float = 0.15  # … and not merely unlucky …
    hedge_guess_s: float = 0.5  # … or takes so long, if nobody idle is known to have it.
    hedged_share: int = 50  # One in so many chunks: duplicates are to stay below 2 %.
    refresh_s: float = 0.02  # A partial holder that had nothing is asked again after this, …
    quiet_share: float = 8.0  # … or one in so many parts of the time for which it had no news, …
    most_refresh_s: float = 2.0  # … up to this: who waits for a holder to come back is not to toil.
    busy_pause_s: float = 0.02  # After "busy", when it was others' turn; doubled each time …
    most_busy_pause_s: float = 1.0  # … up to this.
    late_pause_s: float = 0.5  # After an overdue reply; doubled up to most_patience_s.
    wrong_chunks: int = (
        3  # A disk may have rotted in places; who sent so many wrong, and fewer right
    )
    # ones, is banned: a liar wastes no more than these, as it is asked for one at a time till then.
    shares_already: bool = False  # A part of it is announced, which is not to be taken back (S4).
    requery_first_s: float = 0.02  # Hosts that start together find each other soon; then doubled …
    requery_s: float = 3.0  # … up to this: new holders are found within 5 s (fault 47).
    requery_alone_s: float = 0.5  # While nobody is there to be asked.
    manifest_first_s: float = 0.1  # Then a second holder is asked for the manifest too, …
    manifest_patience_s: float = 2.0  # … and so on, after twice as long each time, up to this.
    nobody_at_start_s: float = 3.0  # Nodes that are just starting get this long …
    nobody_later_s: float = 10.0  # … and a running fetch this long, before it says: nobody.
    stalled_s: float = 600.0  # … and this long while holders are there, but no new chunk comes.
    retry_lost_s: float = 1.0  # A lost holder is tried again after this, doubled each time …
    retry_alone_s: float = 0.3  # … but while nobody else is there: a cable may be back any moment.
    retry_refused_s: float = 2.0  # One that refused may just be starting; then after 16 s.
    most_retry_s: float = 60.0  # … up to this.
