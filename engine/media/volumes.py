"""Which volume a folder lies on, and where that is mounted now: read from the system's tables, not from disks."""

from __future__ import annotations

import logging
import os
import plistlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

log = logging.getLogger(__name__)

NETWORK_TYPES: Final = frozenset(
    {"9p", "afpfs", "afs", "ceph", "cifs", "davfs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3"}
    | {"smbfs", "webdav"}
)
_SYSTEM: str = sys.platform
_MOUNT_TABLE: Final = Path("/proc/self/mountinfo")
_UUIDS: Final = Path("/dev/disk/by-uuid")
_DISKUTIL_LIMIT_S: Final = 5.0


@dataclass(frozen=True)
class Volume:
    """A file system, or a part of one, that is mounted.

    ``identity`` stays the same wherever it is mounted; None where the system tells none, as of what lives in memory.
    """

    identity: str | None
    mount: Path
    is_network: bool


class Volumes:
    """Tells of the volumes of this computer; never raises."""

    def of(self, path: Path) -> Volume | None:
        """The volume that holds an existing path, or would hold a new one; None where that cannot be told."""
        if path.anchor.startswith("\\\\"):  # a share of Windows, which has no drive letter
            return Volume(f"net:{path.anchor}", Path(path.anchor), True)
        real = Path(os.path.realpath(path))
        holders = [volume for volume in self._mounted() if real.is_relative_to(volume.mount)]
        return max(holders, key=lambda volume: len(volume.mount.parts), default=None)

    def mounts(self, identity: str) -> tuple[Path, ...]:
        """Where the volume with this identity is mounted now."""
        if identity.startswith("net:\\\\"):
            return (Path(identity.removeprefix("net:")),)
        return tuple(volume.mount for volume in self._mounted() if volume.identity == identity)

    def _mounted(self) -> list[Volume]:
        try:
            if _SYSTEM == "linux":
                text = _MOUNT_TABLE.read_text(encoding="utf-8", errors="surrogateescape")
                return list(linux_volumes(text, _uuids()))
            return list(_mac_volumes() if _SYSTEM == "darwin" else _windows_volumes())
        except OSError as error:
            log.warning("volumes cannot be listed: %s", error)
            return []


def linux_volumes(table: str, uuids: Mapping[str, str]) -> Iterator[Volume]:
    """The volumes of a mount table (proc_pid_mountinfo(5)).

    Args:
        table: Its text.
        uuids: The UUID of each block device, by its path.
    """
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        places, kinds = before.split(" "), after.split(" ")
        if len(places) < 5 or len(kinds) < 2:
            continue
        inside, mount = _unescaped(places[3]), Path(_unescaped(places[4]))
        kind, source = kinds[0], _unescaped(kinds[1])
        is_network = kind in NETWORK_TYPES
        whose = f"net:{source}" if is_network else f"uuid:{uuids[source]}" if source in uuids else None
        if whose is not None and inside != "/":  # a subvolume of btrfs, or a folder that is bound to another place
            whose += inside
        yield Volume(whose, mount, is_network)


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _uuids() -> dict[str, str]:
    try:
        return {os.path.realpath(link): link.name for link in _UUIDS.iterdir()}
    except OSError:
        return {}


def _mac_volumes() -> Iterator[Volume]:
    for partition in psutil.disk_partitions(all=True):
        is_network = partition.fstype.lower() in NETWORK_TYPES
        identity = f"net:{partition.device}" if is_network else _mac_identity(partition.mountpoint)
        yield Volume(identity, Path(partition.mountpoint), is_network)


def _mac_identity(mount: str) -> str | None:
    command = ["/usr/sbin/diskutil", "info", "-plist", mount]
    try:
        told = subprocess.run(command, capture_output=True, check=True, timeout=_DISKUTIL_LIMIT_S).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return mac_identity(told)


def mac_identity(told: bytes) -> str | None:
    """The identity in what ``diskutil info -plist`` says of a volume."""
    try:
        uuid = plistlib.loads(told).get("VolumeUUID")
    except (plistlib.InvalidFileException, ValueError, AttributeError):
        return None
    return f"uuid:{uuid}" if isinstance(uuid, str) else None


def _windows_volumes() -> Iterator[Volume]:
    for partition in psutil.disk_partitions(all=True):
        is_network = "remote" in partition.opts
        serial = None if is_network else _windows_serial(partition.mountpoint)
        yield Volume(None if serial is None else f"serial:{serial:08x}", Path(partition.mountpoint), is_network)


def _windows_serial(mount: str) -> int | None:
    import ctypes

    serial = ctypes.c_ulong()
    kernel: Any = ctypes.__dict__["windll"].kernel32  # which only Windows has
    found = kernel.GetVolumeInformationW(mount, None, 0, ctypes.byref(serial), None, None, None, 0)
    return serial.value if found else None
