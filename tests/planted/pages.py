"""Planted faults of the dashboard: who may read it, and how much it tells."""

from tests.planted.fault import UNIT, fault

PAGE = UNIT + "dashboard/"

PAGE_FAULTS = (
    fault(
        "the dashboard answers to any name",
        "dashboard/guard.py",
        "return name in self._names",
        "return True",
        PAGE + "test_site.py",
    ),
    fault(
        "pages of other sites may read the dashboard",
        "dashboard/guard.py",
        "if is_elsewhere and headers",
        "if not headers and headers",
        PAGE + "test_site.py",
    ),
    fault(
        "any number of pages may be open",
        "dashboard/streams.py",
        "if len(self._streams) >= MOST_STREAMS or self._is_over:",
        "if self._is_over:",
        PAGE + "test_streams.py",
    ),
    fault(
        "pages are told everything each time",
        "dashboard/streams.py",
        'event("whole", whole) if is_first else event("news", news)',
        'event("whole", whole)',
        PAGE + "test_streams.py",
    ),
    fault(
        "a tracker has the dashboard ask anybody",
        "dashboard/closeups.py",
        "if may_be_holder(address, trackers, listed.get(node))",
        "if may_be_holder(address, trackers, listed.get(node)) or True",
        PAGE + "test_closeups.py",
    ),
)  # fmt: skip
