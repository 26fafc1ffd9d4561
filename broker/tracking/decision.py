"""How decisions are made: as generators that read the state, and never change it.

A decision yields its steps, and returns the reply. Whoever runs it applies each change before the
decision goes on, so that it reads a state in which its earlier changes are made already: of two
claims in one update, the second sees the first.
"""

from collections.abc import Generator
from typing import TypeVar

from shoal.broker.tracking.changes import Change, Renewed
from shoal.broker.tracking.events import Event

T = TypeVar("T")
Step = Change | Renewed | Event
Decision = Generator[Step, None, T]
