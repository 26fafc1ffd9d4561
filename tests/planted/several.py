"""Planted faults of trackers that share a store, and of those who ask them."""

from tests.planted.fault import UNIT, fault

BROKER = UNIT + "broker/"

SEVERAL_FAULTS = (
    fault(
        "what another tracker decided comes after what it came before",
        "broker/tracking/sharing.py",
        "            for undo in reversed(each.steps):\n                undo()",
        "            pass",
        BROKER + "tracking/test_sharing.py",
    ),
    fault(
        "whoever renews with another tracker is silent",
        "broker/tracking/sharing.py",
        "                self._state.apply(each, now)\n\n    def suspends",
        "                pass\n\n    def suspends",
        BROKER + "tracking/test_sharing.py",
    ),
    fault(
        "leases run out while the store is away",
        "broker/tracking/sharing.py",
        "return self.is_away and node not in self._here",
        "return False",
        BROKER + "tracking",
    ),
    fault(
        "a part of what was sent counts as all",
        "broker/exchanges.py",
        "confirmed = len(job.changes) - result.unsaved",
        "confirmed = len(job.changes)",
        BROKER + "test_exchanges.py",
        BROKER + "test_shared_saver.py",
        BROKER + "test_redis_log.py",
    ),
    fault(
        "pushes are accepted while the store is away",
        "broker/exchanges.py",
        "self._tracker.store_is_away(is_away=True)",
        "pass",
        BROKER + "test_exchanges.py",
    ),
    fault(
        "what the store has lost is not read again",
        "broker/exchanges.py",
        "            self._give_up()\n            self._next_at = now",
        "            self._next_at = now",
        BROKER + "test_exchanges.py",
    ),
    fault(
        "a store that hangs holds up each round",
        "broker/shared_saver.py",
        "            self._is_slow |= patience_s > 0\n",
        "",
        BROKER + "test_shared_saver.py",
    ),
    fault(
        "what was decided with a lost store is said to be saved",
        "broker/shared_saver.py",
        "return is_known and exchanges.has_saved_all()",
        "return exchanges.has_saved_all()",
        BROKER + "test_shared_saver.py",
        BROKER + "test_exchanges.py",
    ),
    fault(
        "what was sent twice counts twice",
        "broker/redis_log.py",
        "if entry.number <= self.numbers.get(entry.tracker, 0):",
        "if entry.number < 0:",
        "tests/integration/test_store_contract.py",
    ),
    fault(
        "a log that has lost its end is read on",
        "broker/redis_log.py",
        'raise LostError("the log in the store is not the one that was there before")',
        "pass",
        "tests/integration/test_redis_faults.py",
    ),
    fault(
        "a log whose beginning is gone is believed",
        "broker/redis_log.py",
        'if told[b"length"] != told.get(b"entries-added", told[b"length"]):',
        'if not told[b"length"]:',
        "tests/integration/test_compacting.py",
        "tests/integration/test_redis_faults.py",
    ),
    fault(
        "two processes make a snapshot at a time",
        "broker/compacting.py",
        'if link.call("GET", keys.compacting) != snapshot.name.encode():',
        "if not snapshot.name:",
        "tests/integration/test_compacting.py",
    ),
    fault(
        "a tracker that does not answer is asked for ever",
        "protocol/trackers.py",
        "        self._failed_at[address] = now",
        "        pass",
        UNIT + "protocol/test_trackers.py",
    ),
    fault(
        "everybody asks the same tracker",
        "protocol/trackers.py",
        'blake3(f"{who} {address}".encode(',
        'blake3(f"{address}".encode(',
        UNIT + "protocol/test_trackers.py",
    ),
    fault(
        "a tracker that was killed is waited for",
        "wire/tracker_client.py",
        "sockets.CUT if self._is_one_of_several else 0",
        "0",
        UNIT + "wire/test_failing_over.py",
    ),
)
