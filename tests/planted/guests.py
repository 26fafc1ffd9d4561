"""Planted faults against what users have elsewhere, what they read meanwhile, and their limits."""

from tests.planted.fault import NODE, UNIT, fault

GUEST_FAULTS = (
    # What lies elsewhere is only read.
    fault(
        "a link takes the place of what is there",
        "node/staging/linking.py",
        "            elif not is_it:\n                raise",
        "            elif not is_it:\n"
        "                os.replace(place, place.with_name('old'))\n"
        "                os.symlink(target, place.name, dir_fd=directory)",
        "tests/integration/test_in_place.py",
    ),
    fault(
        "what a link leads to is healed",
        "node/orders/healing.py",
        "if place.is_symlink():  # What it leads to",
        "if not place.exists():  # What it leads to",
        "tests/integration/test_in_place.py",
    ),
    fault(
        "a folder that is only read is healed",
        "node/orders/healing.py",
        "if home.identity.read_only:",
        "if not home.identity.name:",
        "tests/integration/test_read_only.py",
    ),
    fault(
        "a folder that is only read loses what is deleted",
        "node/orders/forgetting.py",
        "if order.delete and home.identity.read_only and not place.is_symlink():",
        "if not order.what:",
        "tests/integration/test_read_only.py",
    ),
    fault(
        "what the hub names after its hash is not hashed",
        "api/hub.py",
        "if is_named and _digest(blob, check) != blob.name:",
        "if not is_named and _digest(blob, check) != blob.name:",
        "tests/integration/test_hub.py",
    ),
    # Readers.
    fault(
        "readers get chunks that have not come",
        "node/orders/opened.py",
        "            if not have >> index & 1:\n                break",
        "            if have < 0:\n                break",
        NODE + "orders/test_reading.py",
    ),
    fault(
        "readers are pointed at what has changed",
        "node/orders/opened.py",
        "if first.fits(status):",
        "if status:",
        NODE + "orders/test_reading.py",
    ),
    fault(
        "an open that was cancelled goes on",
        "node/orders/reading.py",
        "            self._cancel(fetch, kind)\n",
        "            pass\n",
        NODE + "orders/test_reading.py",
    ),
    fault(
        "a fetch goes on though nobody reads any more",
        "node/orders/reading.py",
        "if now >= shared.left_at + LINGER_S or",
        "if now < 0 or",
        NODE + "orders/test_reading.py",
        UNIT + "api/test_reading.py",
    ),
    # Limits.
    fault(
        "what a node may send is not looked at",
        "node/network/rates.py",
        "own = self._limits.up.at(self._minute_at(now))",
        "own = None",
        NODE + "network/test_rates.py",
    ),
    fault(
        "what a node may receive is not counted",
        "node/network/rates.py",
        "            self._bucket.take(size_bytes, now)",
        "            pass",
        NODE + "network/test_rates.py",
    ),
    fault(
        "what a liar sends is not paid for",
        "node/fetching/gathering.py",
        "self.scheduler.sent_wrong(reply.node, reply.request_id, index, now)  # Its bytes came.",
        "pass",
        NODE + "fetching/test_download_holders.py",
    ),
    fault(
        "what was lent of a larger budget is kept",
        "node/serving/borrowing.py",
        "self._loan = self._loan[0], -math.inf",
        "pass",
        NODE + "serving/test_borrowing.py",
        NODE + "network/test_rates.py",
    ),
    fault(
        "more is lent than there is",
        "broker/tracking/lending.py",
        "given[node] = min(wants[node], left // (len(wants) - len(given)))",
        "given[node] = min(wants[node], budget)",
        UNIT + "broker/tracking/test_lending.py",
    ),
    fault(
        "who has gone keeps what was lent",
        "broker/tracking/lending.py",
        "            self.left(node, now)\n        if now",
        "            self._heard_at.pop(node)\n        if now",
        UNIT + "broker/tracking/test_lending.py",
    ),
)
