"""Whether a file system is a network's: then other hosts change it, and nobody here is told."""

import os
from pathlib import Path

from shoal.node.files import libc

# As in statfs(2) and the kernel's magic.h. What is behind FUSE cannot be told: sshfs, for example.
KINDS = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFE534D42: "SMB",
    0xFF534D42: "CIFS",
    0x65735546: "FUSE",
    0x00C36400: "Ceph",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x01021997: "9P",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x19830326: "BeeGFS",
    0x01161970: "GFS2",
    0x7461636F: "OCFS2",
    0x786F4256: "a shared folder",
}


def kind_of(path: Path) -> str | None:
    """Return which network file system `path` is on; None if it is on none, or is not there."""
    try:
        return KINDS.get(libc.file_system_type(os.fsencode(path)))
    except OSError:
        return None
