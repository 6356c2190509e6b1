"""Model packs: a folder whose ``pack.json`` describes everything an encoder needs, each file with its SHA-256.

Reading and verifying a pack needs no torch, so a library opens before the models load.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from engine.errors import ErrorKind, KnownError
from engine.files import atomic_write
from engine.paths import DEFAULT_PACK, SHIPPED_PACK, absolute, pack_choice, resources, user_packs
from engine.unusable import UNREADABLE, UnusableError, describe

log = logging.getLogger(__name__)

FORMAT = 1
BLOCK_S = 30.0
TEXT_FILES = ("config.json", "model.safetensors", "tokenizer.json")
FILES = ("audio.safetensors", "tied_layers.safetensors", *(f"text/{name}" for name in TEXT_FILES))
"""What every pack holds."""
LOADABLE_SUFFIXES = frozenset({".json", ".safetensors"})


_Positive = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(gt=0.0)]


class _Frontend(Struct):
    sample_rate_hz: Annotated[int, Meta(ge=1_000, lt=1_000_000)]
    hop: _Positive


class _Cnn(Struct):
    pools: list[tuple[_Positive, _Positive]]


class _Audio(Struct):
    frontend: _Frontend
    cnn: _Cnn


class _TiedLayers(Struct):
    dim: _Positive


class _Segments(Struct):
    length_s: _Seconds
    hop_s: _Seconds


class _File(Struct):
    sha256: str


class _Manifest(Struct):
    """What is read of ``pack.json`` before the models load; the encoder reads the rest."""

    id: str
    audio: _Audio
    tied_layers: _TiedLayers
    segments: _Segments
    files: dict[str, _File]


@dataclass(frozen=True)
class Pack:
    """A pack on disk.

    ``pack_hash`` is the SHA-256 of ``pack.json``, which holds the hashes of all other files, so it names the whole
    pack. ``frame_samples`` is the distance of the encoder's frames in samples at ``sample_rate_hz``; ``segment_s`` and
    ``hop_s`` are the length of the windows a long sound is cut into and their distance.
    """

    folder: Path
    pack_id: str
    pack_hash: str
    dim: int
    sample_rate_hz: int
    frame_samples: int
    segment_s: float
    hop_s: float
    manifest: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Pack:
        """Read ``pack.json``.

        Raises:
            KnownError: ``pack_broken`` when it is missing or incomplete, ``pack_newer`` when its format is unknown.
        """
        path = folder / "pack.json"
        try:
            content = path.read_bytes()
            manifest = msgspec.json.decode(content, type=dict[str, Any])
            if msgspec.convert(manifest.get("format"), int) > FORMAT:
                raise KnownError(
                    ErrorKind.PACK_NEWER, f"The pack in {folder} was made for a newer Foundsound.", "Update Foundsound."
                )
            known = msgspec.convert(manifest, _Manifest)
            for name in known.files:
                _check_name(name)
            if known.segments.hop_s > known.segments.length_s:
                raise UnusableError(f"it has segments of {known.segments.length_s} s every {known.segments.hop_s} s")
        except UNREADABLE as error:
            raise _broken(path, error) from error
        frontend = known.audio.frontend
        return cls(
            folder=folder,
            pack_id=known.id,
            pack_hash=hashlib.sha256(content).hexdigest(),
            dim=known.tied_layers.dim,
            sample_rate_hz=frontend.sample_rate_hz,
            frame_samples=frontend.hop * math.prod(time_pool for time_pool, _ in known.audio.cnn.pools),
            segment_s=known.segments.length_s,
            hop_s=known.segments.hop_s,
            manifest=manifest,
        )

    @property
    def frame_s(self) -> float:
        """Seconds from one frame to the next."""
        return self.frame_samples / self.sample_rate_hz

    @property
    def block_samples(self) -> int:
        """Long sounds are encoded in blocks of this length, a whole number of frames, so that frames line up."""
        return round(BLOCK_S / self.frame_s) * self.frame_samples

    def file(self, name: str) -> Path:
        """Path of a file of the pack after checking its SHA-256.

        Raises:
            KnownError: ``pack_broken`` when it is missing or not listed, ``pack_wrong_hash`` when its bytes differ.
        """
        if name not in self.manifest["files"]:
            raise _broken(self.folder / "pack.json", UnusableError(f"it has no SHA-256 of “{name}”"))
        expected = self.manifest["files"][name]["sha256"]
        try:
            actual = sha256(self.folder / name)
        except UNREADABLE as error:
            raise _broken(self.folder / name, error) from error
        if actual != expected:
            raise KnownError(
                ErrorKind.PACK_WRONG_HASH,
                f"The pack file {self.folder / name} is damaged or was changed: its SHA-256 is not pack.json's.",
                "Install the pack again.",
            )
        return self.folder / name

    def verify(self) -> None:
        """Check every file of the pack; raises as :meth:`file`."""
        for name in dict.fromkeys((*FILES, *self.manifest["files"])):
            self.file(name)


def pack_folders() -> tuple[Path, ...]:
    """Where packs are looked for, the user's own first."""
    return (user_packs(), resources() / "packs")


def installed_packs(folders: Iterable[Path] | None = None) -> Iterator[Path]:
    """Folders that hold a ``pack.json``."""
    for parent in pack_folders() if folders is None else folders:
        if os.path.isdir(parent):  # noqa: PTH112 - unlike pathlib's it never raises
            yield from sorted(path.parent for path in parent.glob("*/pack.json"))


def find_pack(pack_id: str = DEFAULT_PACK, folders: Iterable[Path] | None = None) -> Pack:
    """The pack of that name, or in that folder when ``pack_id`` is a path; ``default`` is the one in use.

    A name is never looked for in the working folder: ``./NAME`` is how to name a pack there.

    Raises:
        KnownError: ``pack_unknown``, with the names of those there are; as :meth:`Pack.read`, :func:`chosen_pack` and
            :func:`engine.paths.absolute`.
    """
    if pack_id == DEFAULT_PACK:
        choice = chosen_pack()
        return shipped_pack() if choice is None else find_pack(choice, folders)
    if _is_path(pack_id):
        folder = absolute(Path(pack_id))
        if os.path.isfile(folder / "pack.json"):  # noqa: PTH113 - unlike pathlib's it never raises
            return Pack.read(folder)
    candidates = list(installed_packs(folders))
    for folder in candidates:
        if folder.name == pack_id:
            return Pack.read(folder)
    names = ", ".join(sorted({folder.name for folder in candidates})) or "none"
    raise KnownError(
        ErrorKind.PACK_UNKNOWN,
        f"There is no pack named “{pack_id[:100]}”.",
        f"Installed packs: {names}; “foundsound packs use NAME” chooses one.",
    )


def shipped_pack() -> Pack:
    """The pack that comes with Foundsound, even where the user has one of the same name; raises as ``Pack.read``."""
    return Pack.read(resources() / "packs" / SHIPPED_PACK)


def chosen_pack() -> str | None:
    """The name or the absolute folder of the pack that the user chose; None for the shipped one.

    Raises:
        KnownError: ``pack_choice_unreadable`` when the system does not let it be read, ``pack_choice_broken`` when it
            is not what :func:`use_pack` writes.
    """
    path = pack_choice()
    try:
        chosen = json.loads(path.read_text(encoding="utf-8"))["pack"]
        if not isinstance(chosen, str):
            raise UnusableError("the pack must be named by a text")
        if chosen == DEFAULT_PACK or (_is_path(chosen) and not Path(chosen).is_absolute()):
            raise UnusableError("the pack must be named by its name or its whole path")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KnownError(
            ErrorKind.PACK_CHOICE_UNREADABLE,
            f"{path}, which may name the pack in use, cannot be read: {error.strerror}.",
            "Check the rights of its folder, or name a pack with --pack.",
        ) from error
    except UNREADABLE as error:
        raise KnownError(
            ErrorKind.PACK_CHOICE_BROKEN,
            f"{path}, which names the pack in use, cannot be read: {describe(error)}.",
            "Choose again, for example: foundsound packs use default",
        ) from error
    return chosen


def use_pack(pack_id: str) -> Pack:
    """Make a pack (its name, or its folder) the default for the app and the command line from now on.

    ``default`` takes the choice back: the shipped pack is used again.

    Raises:
        KnownError: As :func:`find_pack` and :meth:`Pack.verify`; ``pack_choice_unwritable``.
    """
    pack = shipped_pack() if pack_id == DEFAULT_PACK else find_pack(pack_id)
    pack.verify()
    name = pack.folder.name
    first = next((folder for folder in installed_packs() if folder.name == name), None)  # what the name stands for
    path = pack_choice()
    named = name if first == pack.folder else str(pack.folder)
    content = json.dumps({"pack": named})  # in ASCII, where any path can be written
    try:
        if pack_id == DEFAULT_PACK:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as partial:
                partial.write_text(content + "\n", encoding="utf-8")
    except OSError as error:
        raise KnownError(
            ErrorKind.PACK_CHOICE_UNWRITABLE,
            f"{path} cannot be written: {error.strerror}.",
            "Check the rights of its folder.",
        ) from error
    return pack


def size_on_disk(pack: Pack) -> int:
    """Bytes of the pack's files that are there, ``pack.json`` included."""
    paths = [pack.folder / name for name in ("pack.json", *pack.manifest["files"])]
    return sum(path.stat().st_size for path in paths if path.is_file())


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_files(folder: Path) -> dict[str, dict[str, int | str]]:
    """The ``files`` section of ``pack.json`` for all loadable files below ``folder``."""
    names = sorted(path for path in folder.rglob("*") if path.suffix in LOADABLE_SUFFIXES and path.name != "pack.json")
    return {
        path.relative_to(folder).as_posix(): {"sha256": sha256(path), "bytes": path.stat().st_size} for path in names
    }


def _is_path(text: str) -> bool:
    """Whether a text is a folder and not a name."""
    separators = {os.sep, os.altsep or os.sep}
    return text.startswith(("~", ".")) or Path(text).is_absolute() or not separators.isdisjoint(text)


def _check_name(name: str) -> None:
    """Only safetensors and JSON inside the pack's folder: nothing that could run code is ever opened."""
    path = PureWindowsPath(name)  # it splits at / and at \, and knows drives and shares, on every system
    inside = not path.anchor and ".." not in path.parts
    if not inside or path.suffix not in LOADABLE_SUFFIXES:
        raise UnusableError(f"it names “{name}”, and a pack holds only safetensors and JSON, inside its folder")


def _broken(path: Path, error: Exception) -> KnownError:
    log.warning("%s cannot be used", path, exc_info=True)
    return KnownError(
        ErrorKind.PACK_BROKEN, f"The pack file {path} cannot be used: {describe(error)}.", "Install the pack again."
    )
