"""Every decoder of bytes from outside or from the disk, by name."""

from collections.abc import Callable

from tests.fuzz.contents import CONTENTS
from tests.fuzz.decoder import Decoder
from tests.fuzz.disk import DISK
from tests.fuzz.later import LATER
from tests.fuzz.wire import WIRE

DECODERS: dict[str, Callable[[], Decoder]] = {**WIRE, **CONTENTS, **DISK, **LATER}
