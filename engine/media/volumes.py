"""Which volume holds a path, and where a volume is mounted now: its identity stays when its drive letter changes.

All is told from the system's tables. No path on a network drive is looked at: one that is gone can keep us waiting for
minutes.
"""

from __future__ import annotations

import os
import plistlib
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Final, NamedTuple

# The folders that virtual machines share are on this list because locks work there no better than on a network.
_NETWORK_FILE_SYSTEMS: Final = frozenset(
    "9p afpfs afs ceph cifs coda davfs ftp glusterfs lustre ncpfs nfs nfs4 smb3 smbfs vboxsf webdav"
    " fuse.davfs2 fuse.glusterfs fuse.gvfsd-fuse fuse.rclone fuse.s3fs fuse.sshfs".split()
)
# One mount that holds many shares.
_NAMELESS_FILE_SYSTEMS: Final = frozenset({"fuse.gvfsd-fuse"})
_MAX_LINKS: Final = 40
_DISKUTIL_LIMIT_S: Final = 10.0


@dataclass(frozen=True)
class Volume:
    """A volume, or a part of one, where it is mounted.

    ``identity`` tells it from all others, wherever it is mounted; None where the system knows none, as for a file
    system in memory. For a network drive it is the share, such as ``net://server/share``.
    """

    identity: str | None
    mount: Path
    is_network: bool


class Volumes:
    """The volumes of this system, looked up anew by each call. No method raises.

    Args:
        table: Gives the volumes that are mounted now.
    """

    def __init__(self, table: Callable[[], Sequence[Volume]] | None = None) -> None:
        self._table = table or _system_table()

    def of(self, path: Path) -> Volume | None:
        """The volume that holds an absolute path; None where the system does not tell."""
        if (share := windows_share(path)) is not None:
            return share
        volumes = {volume.mount: volume for volume in self._table()}
        place = _without_links(path, {mount for mount, volume in volumes.items() if volume.is_network})
        return next((volumes[parent] for parent in (place, *place.parents) if parent in volumes), None)

    def mounts(self, identity: str) -> tuple[Path, ...]:
        """Where the volume with this identity is mounted now. On Windows, a share can always be named itself."""
        mounts = [volume.mount for volume in self._table() if volume.identity == identity]
        if os.name == "nt" and identity.startswith("net://"):
            mounts.append(Path(identity.removeprefix("net:").replace("/", "\\") + "\\"))
        return tuple(mounts)


def _without_links(path: Path, network_mounts: set[Path]) -> Path:
    """A path with the links in it followed, but for those on network drives."""
    here, rest = Path(path.anchor), deque(path.parts[1:])
    links = 0
    while rest:
        if here in network_mounts:
            return here.joinpath(*rest)
        name = rest.popleft()
        if name == "..":
            here = here.parent
            continue
        place = here / name
        try:
            target = None if place in network_mounts else place.readlink()
        except (OSError, ValueError):  # it is no link, or not there
            target = None
        if target is None:
            here = place
            continue
        links += 1
        if links > _MAX_LINKS:
            return path
        if target.is_absolute():
            here, target = Path(target.anchor), target.relative_to(target.anchor)
        rest.extendleft(reversed(target.parts))
    return here


def _share(source: str) -> str:
    """A share's identity, one for all systems: ``net://server/share``, without a user, the server in lower case."""
    name = source.replace("\\", "/").rstrip("/") if source.startswith(("//", "\\\\")) else source
    if match := re.fullmatch(r"//(?:[^/@]*@)?([^/]+)(.*)", name):
        name = f"//{match[1].lower()}{match[2]}"
    return f"net:{name}"


# Linux ----------------------------------------------------------------------------------------------------------------


def linux_volumes(mountinfo: str, uuids: Mapping[str, str]) -> list[Volume]:
    """The volumes of a Linux system.

    Args:
        mountinfo: The text of ``/proc/self/mountinfo`` (proc(5)). Of two mounts in one place, the later one counts.
        uuids: UUIDs of file systems by the path of their device, and by its numbers such as ``8:1``.
    """
    volumes: dict[Path, Volume] = {}
    for line in mountinfo.splitlines():
        mounted, _, file_system = line.partition(" - ")
        fields, details = mounted.split(" "), file_system.split(" ")
        if len(fields) < 5 or len(details) < 2:
            continue
        root, mount = _unescaped(fields[3]), Path(_unescaped(fields[4]))
        kind, source = details[0], _unescaped(details[1])
        is_network = kind in _NETWORK_FILE_SYSTEMS
        if is_network:
            identity = None if kind in _NAMELESS_FILE_SYSTEMS else _share(source)
        else:
            uuid = uuids.get(source) or uuids.get(fields[2])
            identity = None if uuid is None else f"uuid:{uuid}"
        if identity is not None and root != "/":  # a subvolume, or a folder mounted once more
            identity += f":{root}"
        volumes[mount] = Volume(identity, mount, is_network)
    return list(volumes.values())


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


if sys.platform != "win32":

    def _linux_table() -> list[Volume]:
        try:
            mountinfo = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
        except OSError:
            return []
        return linux_volumes(mountinfo, _linux_uuids(Path("/dev/disk/by-uuid"), mountinfo))

    def _linux_uuids(by_uuid: Path, mountinfo: str) -> dict[str, str]:
        """UUIDs as ``linux_volumes`` takes them, from a folder of links to devices named by UUID."""
        uuids: dict[str, str] = {}
        try:
            links = list(by_uuid.iterdir())
        except OSError:
            return uuids
        for link in links:
            try:
                device, numbers = os.path.realpath(link), link.stat().st_rdev
            except OSError:
                continue
            uuids[device] = uuids[f"{os.major(numbers)}:{os.minor(numbers)}"] = link.name
        for source in set(re.findall(r" - \S+ (/dev/\S+)", mountinfo)):  # such as /dev/mapper/name, itself a link
            device = os.path.realpath(_unescaped(source))
            if device in uuids:
                uuids[_unescaped(source)] = uuids[device]
        return uuids


# macOS ----------------------------------------------------------------------------------------------------------------


class Partition(NamedTuple):
    """A row of macOS' table of mounts."""

    device: str
    mount: str
    file_system: str


_MACOS_DATA: Final = Path("/System/Volumes/Data")


def macos_volumes(partitions: Iterable[Partition], uuid_of: Callable[[str], str | None]) -> list[Volume]:
    """The volumes of a macOS system.

    Args:
        partitions: What is mounted.
        uuid_of: UUID of the volume on a device, or None; asked of devices only.
    """
    volumes: dict[Path, Volume] = {}
    for device, place, kind in partitions:
        mount = Path(place)
        is_network = kind in _NETWORK_FILE_SYSTEMS
        uuid = uuid_of(device) if device.startswith("/dev/") else None
        identity = None if uuid is None else f"uuid:{uuid}"
        volumes[mount] = Volume(_share(device) if is_network else identity, mount, is_network)
    # The volume of the user's files shows through that of the system, which nobody else can write to.
    if (data := volumes.get(_MACOS_DATA)) is not None:
        volumes[Path("/")] = replace(data, mount=Path("/"))
    return list(volumes.values())


def diskutil_uuid(plist: bytes) -> str | None:
    """The UUID of a volume in what ``diskutil info -plist`` prints, or None."""
    try:
        uuid = plistlib.loads(plist).get("VolumeUUID")
    except Exception:  # plistlib raises errors of many kinds for what is no list
        return None
    return uuid if isinstance(uuid, str) else None


class _MacosTable:
    """Reads macOS' table of mounts; asks for the UUID of each volume but once."""

    def __init__(self) -> None:
        self._uuids: dict[Partition, str | None] = {}

    def __call__(self) -> list[Volume]:
        import psutil

        try:
            rows = psutil.disk_partitions(all=True)
        except OSError:
            return []
        partitions = {row.device: Partition(row.device, row.mountpoint, row.fstype) for row in rows}
        self._uuids = {known: uuid for known, uuid in self._uuids.items() if known in partitions.values()}
        return macos_volumes(
            [Partition(row.device, row.mountpoint, row.fstype) for row in rows],
            lambda device: self._uuid_of(partitions[device]),
        )

    def _uuid_of(self, partition: Partition) -> str | None:
        if partition not in self._uuids:
            command = ["/usr/sbin/diskutil", "info", "-plist", partition.device]
            try:
                answer = subprocess.run(command, capture_output=True, timeout=_DISKUTIL_LIMIT_S, check=False).stdout
            except (OSError, subprocess.SubprocessError):
                return None
            self._uuids[partition] = diskutil_uuid(answer)
        return self._uuids[partition]


# Windows --------------------------------------------------------------------------------------------------------------


class Drive(NamedTuple):
    """A drive of Windows: its root such as ``C:\\``, its volume's serial number, the share it stands for."""

    root: str
    serial: int | None = None
    is_remote: bool = False
    share: str | None = None


def windows_volumes(drives: Iterable[Drive]) -> list[Volume]:
    """The volumes of a Windows system. The identity of a local one is its serial number as ``vol`` shows it."""
    volumes = []
    for root, serial, is_remote, share in drives:
        identity = None if serial is None else f"serial:{serial >> 16:04X}-{serial & 0xFFFF:04X}"
        volumes.append(Volume(_share(share) if share is not None else identity, Path(root), is_remote))
    return volumes


def windows_share(path: PurePath) -> Volume | None:
    r"""The share that a path such as ``\\server\share\folder`` names itself, or None."""
    if not path.drive.startswith("\\\\") or path.drive.startswith(("\\\\?\\", "\\\\.\\")):
        return None
    return Volume(_share(path.drive), Path(path.anchor), is_network=True)


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _DRIVE_NO_ROOT, _DRIVE_REMOTE = 1, 4
    _FAIL_CRITICAL_ERRORS = 1  # instead of a window that asks for a disk

    def _windows_table() -> list[Volume]:
        kernel = ctypes.WinDLL("kernel32")
        previous = wintypes.DWORD()
        kernel.SetThreadErrorMode(_FAIL_CRITICAL_ERRORS, ctypes.byref(previous))
        try:
            letters = kernel.GetLogicalDrives()
            drives = [_drive(kernel, chr(ord("A") + number)) for number in range(26) if letters >> number & 1]
        finally:
            kernel.SetThreadErrorMode(previous, None)
        return windows_volumes(drive for drive in drives if drive is not None)

    def _drive(kernel: ctypes.WinDLL, letter: str) -> Drive | None:
        root = f"{letter}:\\"
        kind = kernel.GetDriveTypeW(root)
        if kind <= _DRIVE_NO_ROOT:
            return None
        if kind == _DRIVE_REMOTE:
            share, length = ctypes.create_unicode_buffer(1024), wintypes.DWORD(1024)
            failed = ctypes.WinDLL("mpr").WNetGetConnectionW(f"{letter}:", share, ctypes.byref(length))
            return Drive(root, is_remote=True, share=None if failed else share.value)
        serial = wintypes.DWORD()
        is_known = kernel.GetVolumeInformationW(root, None, 0, ctypes.byref(serial), None, None, None, 0)
        return Drive(root, serial.value if is_known else None)


def _system_table() -> Callable[[], Sequence[Volume]]:
    if sys.platform == "win32":
        return _windows_table
    elif sys.platform == "darwin":  # noqa: RET505 (mypy takes what follows a plain if for dead code)
        return _MacosTable()
    else:
        return _linux_table
