"""A path → the kind of network mount that it lies on, if it does."""

from __future__ import annotations

from pathlib import Path

_MOUNTS = Path("/proc/self/mounts")
# Locks of these are known to fail, or to hold on one machine only.
_NETWORK = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "gpfs", "lustre"),
        *("ncpfs", "nfs", "nfs4", "smb3", "smbfs"),
        *("fuse.gcsfuse", "fuse.glusterfs", "fuse.juicefs", "fuse.rclone", "fuse.s3fs"),
        "fuse.sshfs",
    }
)


def network_mount(path: Path) -> str | None:
    """Name the network file system of a path; None where it is a disk, or not known."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # only Linux has the list
        return None
    place, kind = Path("/"), ""
    for line in lines:
        fields = line.split(" ")
        mounted = Path(fields[1].replace("\\040", " "))
        # The last of several mounts on one place is the one that is seen.
        if path.is_relative_to(mounted) and len(mounted.parts) >= len(place.parts):
            place, kind = mounted, fields[2]
    return kind if kind in _NETWORK else None
