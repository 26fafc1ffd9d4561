"""A node's folder that a thing is taken into, with all that is known of it."""

import contextlib
from pathlib import Path
from typing import Any

from shoal.node.folder.cache import Cache
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.quota import Quota
from shoal.node.folder.register import Register
from shoal.node.folder.rules import Rules
from shoal.node.staging.admission import Admission
from shoal.node.staging.destination import Destination
from shoal.node.staging.intake import Intake
from shoal.node.staging.publication import Folder, Publication
from shoal.node.staging.spare import NOTHING, Spare

IN_MEMORY = Path("/" + 600 * "x")  # Too long for SQLite to have it on a disk.


class Taking:
    """One intake after the other, each of a thing of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        spare: Spare = NOTHING,
        quota: Quota | None = None,
        **to: Any,
    ) -> None:
        state = folder / ".shoal"
        with contextlib.suppress(FileExistsError):
            state.mkdir(parents=True)
        self.rules = Rules(state if state.is_dir() else folder / "nowhere")
        self.inventory = Inventory(lambda _: None)
        self.cache = Cache(IN_MEMORY)
        self.spare = spare
        self.to = Destination(folder, **to)
        self._quota = quota

    def intake(self) -> Intake:
        register = Register(self.cache, "me")
        known = Folder(self.inventory, self.cache, self.rules, register)
        admission = Admission(self.to, self._quota, self.spare)
        return Intake(self.to, admission, Publication(self.to, known), self.inventory.places)
