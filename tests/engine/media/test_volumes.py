"""Volumes are told from the tables of all three systems, and no network drive is looked at for it."""

from __future__ import annotations

import os
import plistlib
import sys
from pathlib import Path, PureWindowsPath

import pytest

from engine.media.volumes import (
    Drive,
    Partition,
    Volume,
    Volumes,
    diskutil_uuid,
    linux_volumes,
    macos_volumes,
    windows_share,
    windows_volumes,
)

MOUNTINFO = r"""
22 1 0:21 / /proc rw,relatime shared:5 - proc proc rw
25 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
30 25 0:30 /@home /home rw,relatime shared:20 - btrfs /dev/mapper/luks-1 rw,subvol=/@home
31 25 8:17 / /media/ada/My\040Drive rw,nosuid - fuseblk /dev/sdb1 rw,user_id=0
32 25 8:17 /sounds /srv/sounds rw,nosuid master:1 - fuseblk /dev/sdb1 rw,user_id=0
33 25 0:40 / /mnt/nas rw - autofs systemd-1 rw,fd=51
34 33 0:41 / /mnt/nas rw - cifs //NAS.local/Sounds/ rw,vers=3.0
35 25 0:42 / /mnt/export rw - nfs4 nas:/export rw
36 25 0:43 / /run/user/1000/gvfs rw - fuse.gvfsd-fuse gvfsd-fuse rw
37 25 0:44 / /tmp rw - tmpfs tmpfs rw
38 25 8:33 / /mnt/root rw - ext4 /dev/root rw
39 25 damaged
""".strip()
UUIDS = {"/dev/nvme0n1p2": "aaaa", "/dev/mapper/luks-1": "bbbb", "/dev/sdb1": "12AB-34CD", "8:33": "dddd"}


def test_linux() -> None:
    volumes = linux_volumes(MOUNTINFO, UUIDS)
    assert {(str(volume.mount), volume.identity) for volume in volumes if not volume.is_network} == {
        ("/proc", None),
        ("/", "uuid:aaaa"),
        ("/home", "uuid:bbbb:/@home"),
        ("/media/ada/My Drive", "uuid:12AB-34CD"),
        ("/srv/sounds", "uuid:12AB-34CD:/sounds"),
        ("/tmp", None),
        ("/mnt/root", "uuid:dddd"),
    }
    assert {(str(volume.mount), volume.identity) for volume in volumes if volume.is_network} == {
        ("/mnt/nas", "net://nas.local/Sounds"),
        ("/mnt/export", "net:nas:/export"),
        ("/run/user/1000/gvfs", None),
    }


def test_macos() -> None:
    uuids = {"/dev/disk3s1s1": "SYSTEM", "/dev/disk3s5": "DATA", "/dev/disk4s2": "STICK"}
    asked: list[str] = []

    def uuid_of(device: str) -> str | None:
        asked.append(device)
        return uuids[device]

    volumes = macos_volumes(
        [
            Partition("/dev/disk3s1s1", "/", "apfs"),
            Partition("devfs", "/dev", "devfs"),
            Partition("/dev/disk3s5", "/System/Volumes/Data", "apfs"),
            Partition("/dev/disk4s2", "/Volumes/Stick", "hfs"),
            Partition("//ada@NAS._smb._tcp.local/Sounds", "/Volumes/Sounds", "smbfs"),
        ],
        uuid_of,
    )
    assert volumes == [
        Volume("uuid:DATA", Path("/"), False),
        Volume(None, Path("/dev"), False),
        Volume("uuid:DATA", Path("/System/Volumes/Data"), False),
        Volume("uuid:STICK", Path("/Volumes/Stick"), False),
        Volume("net://nas._smb._tcp.local/Sounds", Path("/Volumes/Sounds"), True),
    ]
    assert sorted(asked) == sorted(uuids)


def test_what_diskutil_prints() -> None:
    assert diskutil_uuid(plistlib.dumps({"VolumeUUID": "0A81F3B1", "VolumeName": "Stick"})) == "0A81F3B1"
    for other in (b"", b"Could not find disk", plistlib.dumps({"VolumeUUID": 3}), plistlib.dumps(["VolumeUUID"])):
        assert diskutil_uuid(other) is None


def test_windows() -> None:
    assert windows_volumes(
        [
            Drive("C:\\", serial=0x12AB0CD),
            Drive("D:\\"),
            Drive("Z:\\", is_remote=True, share=r"\\NAS\Sounds"),
            Drive("Y:\\", is_remote=True),
        ]
    ) == [
        Volume("serial:012A-B0CD", Path("C:\\"), False),
        Volume(None, Path("D:\\"), False),
        Volume("net://nas/Sounds", Path("Z:\\"), True),
        Volume(None, Path("Y:\\"), True),
    ]


@pytest.mark.parametrize("path", [r"C:\Sounds", r"\Sounds", "Sounds", r"\\?\C:\Sounds", r"\\.\pipe\sounds"])
def test_paths_of_windows_that_name_no_share(path: str) -> None:
    assert windows_share(PureWindowsPath(path)) is None


def test_a_share_of_windows_names_itself() -> None:
    share = windows_share(PureWindowsPath(r"\\NAS\Sounds\doors\creak.wav"))
    assert share == Volume("net://nas/Sounds", Path("\\\\NAS\\Sounds\\"), True)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder without links in its path."""
    return tmp_path.resolve()


def test_the_innermost_volume_holds_a_path(place: Path) -> None:
    root, outer, inner = Path(place.anchor), place / "outer", place / "outer" / "inner"
    inner.mkdir(parents=True)
    table = [Volume(str(number), mount, False) for number, mount in enumerate([root, outer, inner])]
    volumes = Volumes(lambda: table)
    identities = {
        path: volume.identity
        for path in (place, outer, outer / "innermost", inner, inner / "new" / "a.wav")
        if (volume := volumes.of(path)) is not None
    }
    assert list(identities.values()) == ["0", "1", "1", "2", "2"]
    assert Volumes(list).of(place) is None


def test_where_a_volume_is_mounted(place: Path) -> None:
    table = [Volume("a", place / "1", False), Volume(None, place / "2", False), Volume("a", place / "3", True)]
    volumes = Volumes(lambda: table)
    assert volumes.mounts("a") == (place / "1", place / "3")
    assert volumes.mounts("b") == ()


def test_links_lead_to_their_volume(place: Path) -> None:
    drive, other = place / "drive", place / "other"
    (drive / "sounds").mkdir(parents=True)
    other.mkdir()
    (other / "absolute").symlink_to(drive / "sounds", target_is_directory=True)
    (other / "relative").symlink_to("../drive", target_is_directory=True)
    (other / "circle").symlink_to("circle")
    volumes = Volumes(lambda: [Volume("drive", drive, False), Volume("other", other, False)])

    def holder(path: Path) -> str | None:
        volume = volumes.of(path)
        return None if volume is None else volume.identity

    assert holder(other / "absolute" / "a.wav") == "drive"
    assert holder(other / "relative" / "sounds" / ".." / "a.wav") == "drive"
    assert holder(other / "relative" / ".." / "other") == "other"
    assert holder(other / "circle" / "a.wav") == "other"


def test_nothing_on_a_network_drive_is_looked_at(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share, home = place / "share", place / "home"
    share.mkdir()
    home.mkdir()
    (home / "sounds").symlink_to(share / "sounds", target_is_directory=True)
    looked_at: list[str] = []
    readlink = os.readlink

    def watched(path: str | os.PathLike[str]) -> str:
        looked_at.append(os.fspath(path))
        return readlink(path)

    monkeypatch.setattr(os, "readlink", watched)
    volumes = Volumes(lambda: [Volume("home", home, False), Volume("share", share, True)])
    for path in (share, share / "a" / "b.wav", home / "sounds" / "b.wav"):
        assert volumes.of(path) == Volume("share", share, True)
    assert str(home / "sounds") in looked_at
    assert not [path for path in looked_at if path.startswith(str(share))]


def test_this_system_tells_of_its_volumes(tmp_path: Path) -> None:
    volumes = Volumes()
    volume = volumes.of(tmp_path)
    assert volume is not None
    assert tmp_path.resolve().is_relative_to(volume.mount)
    assert not volume.is_network
    if volume.identity is not None:
        assert volume.mount in volumes.mounts(volume.identity)
    if sys.platform == "linux":
        assert volumes.of(Path("/proc/self/status")) == Volume(None, Path("/proc"), False)
