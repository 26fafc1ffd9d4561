"""A thing that is being fetched, as others can ask for it meanwhile."""

from shoal.node.files.signature import GoneError
from shoal.node.folder.whole import Whole
from shoal.node.staging.file_staging import Staging
from shoal.node.staging.tree_staging import TreeStaging
from shoal.protocol.manifest import encode
from shoal.protocol.titles import Title


class PartialFile:
    """A thing that is being fetched. Only its download adds to it."""

    def __init__(
        self,
        name: str,
        staging: Staging | TreeStaging | Whole,
        *,
        gives_way: bool = False,
    ) -> None:
        """One that `gives_way` has the good chunks of a damaged thing, until it is fetched."""
        self.title = Title(staging.id)
        self.name = name
        self.id = staging.id
        self.data = encode(staging.manifest)
        self.have = 0
        self.gives_way = gives_way
        self._manifest = staging.manifest
        self._staging = staging

    @property
    def size_bytes(self) -> int:
        return self._manifest.size_bytes

    @property
    def chunk_count(self) -> int:
        return self._manifest.chunk_count

    @property
    def have_bytes(self) -> int:
        """About how much of it is here: chunks of one thing are of about one size."""
        return self.size_bytes * self.have.bit_count() // max(1, self.chunk_count)

    def read(self, index: int) -> bytes:
        """Return the bytes of chunk `index`, which must be in `have`."""
        try:
            return self._staging.read(index)
        except OSError as error:
            raise GoneError(f"{self.name}: {error.strerror}") from None
