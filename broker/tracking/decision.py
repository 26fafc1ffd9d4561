"""Decisions: generators that read the state, and never change it.

A decision yields its steps and returns the reply. The tracker applies each change before the
decision goes on, which therefore sees its own earlier changes: of two claims in one update, the
second sees the first.
"""

from collections.abc import Generator
from typing import TypeVar

from shoal.broker.tracking.changes import Change, Renewed
from shoal.broker.tracking.events import Event

T = TypeVar("T")
Step = Change | Renewed | Event
Decision = Generator[Step, None, T]
