"""More sounds to train on, out of Debian's packages: ``python -m engine.training.research.debian_sounds FOLDER``.

Debian's ``main`` holds free works only; each package's ``debian/copyright`` tells its licences. Which packages are
taken, and which of their files are left out (music, speech, bare waveforms), stands in ``configs/debian-sources.json``
and, for field recordings and Foley, in ``configs/debian-field-sources.json``.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import io
import logging
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import soundfile
from numpy.typing import NDArray

from engine.errors import ErrorKind, KnownError
from engine.training.config import read_config
from engine.training.config_files import find_config
from engine.training.data.decoding import load_mono
from engine.training.data.features import Files
from engine.training.networks import teacher

log = logging.getLogger(__name__)

RATE_HZ = 48_000
PIECE_S = 10.0
"""Longer sounds are cut to at most four pieces of this length, spread over them."""
SHORTEST_S = 0.05
SILENT = 1e-3
SUFFIXES = frozenset({".ogg", ".oga", ".opus", ".wav", ".flac", ".mp3", ".aif", ".aiff", ".wv", ".au", ".voc"})
COLUMNS = ("file", "split", "source", "original_path", "licence", "seconds", "caption", "audioset_tags")
_ARCHIVES = frozenset({".pk3", ".wz"})
_RESOURCES = ".rcc"
_COMPRESSED, _FOLDER = 1, 2

Member = tuple[str, bytes]
"""A file in a package: its path and what it holds."""


@dataclass(frozen=True)
class Selection:
    """Packages, and a pattern of the paths in them that are left out."""

    packages: tuple[str, ...]
    leave_out: str


def sounds_in(package: Path) -> Iterator[Member]:
    """The sound files of a ``.deb``, those in game archives and Qt resources too; damaged archives are left out.

    Raises:
        KnownError: ``package_unreadable`` when dpkg-deb cannot open it, ``not_debian`` where there is none.
    """
    command = [_tool("dpkg-deb"), "--fsys-tarfile", str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as opened:
        try:
            with tarfile.open(fileobj=opened.stdout, mode="r|") as tar:
                for member in tar:
                    held = tar.extractfile(member) if member.isfile() else None
                    if held is not None:
                        yield from _unpacked(member.name.removeprefix("./"), held)
        except tarfile.TarError as error:
            raise KnownError(
                ErrorKind.PACKAGE_UNREADABLE,
                f"{package} is no Debian package or is damaged.",
                "Remove it and start again.",
            ) from error


def _unpacked(path: str, held: IO[bytes]) -> Iterator[Member]:
    suffix = _suffix(path)
    if suffix in SUFFIXES:
        yield path, held.read()
    elif suffix in _ARCHIVES or suffix == _RESOURCES:
        opened = _archived if suffix in _ARCHIVES else resources
        try:
            yield from ((f"{path}/{name}", inner) for name, inner in opened(held.read()) if _suffix(name) in SUFFIXES)
        except (KnownError, zipfile.BadZipFile, zlib.error) as error:
            log.warning("%s is left out: %s", path, error)


def _archived(held: bytes) -> Iterator[Member]:
    with zipfile.ZipFile(io.BytesIO(held)) as archive:
        for name in sorted(archive.namelist()):
            if _suffix(name) in SUFFIXES:
                yield name, archive.read(name)


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def resources(held: bytes) -> Iterator[Member]:
    """The files of a binary Qt resource (``.rcc``, format versions 1 to 3); those packed with Zstandard are left out.

    Raises:
        KnownError: ``package_unreadable`` when it is none.
    """

    def number(at: int, size: int = 4) -> int:
        return int.from_bytes(held[at : at + size], "big")

    version = number(4)
    if held[:4] != b"qres" or not 1 <= version <= 3:
        raise KnownError(ErrorKind.PACKAGE_UNREADABLE, "A Qt resource is of an unknown format.", "It cannot be read.")
    tree, data, names = number(8), number(12), number(16)
    node_size = 14 if version == 1 else 22

    def walk(folder: int, above: str) -> Iterator[Member]:
        node = tree + folder * node_size
        first, count = number(node + 10), number(node + 6)
        for index in range(first, first + count):
            child = tree + index * node_size
            name_at, flags = names + number(child), number(child + 4, 2)
            length = 2 * number(name_at, 2)  # after it a hash, then UTF-16
            path = above + held[name_at + 6 : name_at + 6 + length].decode("utf-16-be")
            if flags & _FOLDER:
                yield from walk(index, f"{path}/")
            elif flags in (0, _COMPRESSED):
                at = data + number(child + 10)
                content = held[at + 4 : at + 4 + number(at)]
                yield path, zlib.decompress(content[4:]) if flags else content

    yield from walk(0, "")


def pieces(mono: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """A sound (samples,) as it is, or up to four pieces of ten seconds; none of what is silent, broken or too short."""
    if len(mono) < SHORTEST_S * RATE_HZ or not np.isfinite(mono).all():
        return []
    piece = round(PIECE_S * RATE_HZ)
    count = 1 if len(mono) <= piece else min(4, int(len(mono) / RATE_HZ // 15) + 1)
    starts = np.linspace(0, max(0, len(mono) - piece), count).astype(int)
    cut = [mono[start : start + piece] for start in starts]
    return [each for each in cut if np.abs(each).max() >= SILENT]


def gather(packages: Sequence[Path], leave_out: str, folder: Path) -> list[dict[str, str]]:
    """Write the sounds of packages as FLAC under ``folder``; returns rows of a manifest, each sound once."""
    pattern = re.compile(leave_out, re.IGNORECASE)
    rows: dict[str, dict[str, str]] = {}
    for package in packages:
        name = package.name.partition("_")[0]
        (folder / name).mkdir(parents=True, exist_ok=True)
        for path, held in sounds_in(package):
            if pattern.search(f"/{path}"):
                continue
            try:
                mono = _decoded(path, held)
            except KnownError as error:
                log.warning("%s: %s: %s", name, path, error.detail)
                continue
            for piece in pieces(mono):
                scaled = (piece / np.abs(piece).max() * 0.98 * 32767).astype(np.int16)
                key = hashlib.blake2b(scaled.tobytes(), digest_size=6).hexdigest()
                if key in rows:
                    continue
                file = f"{name}/{key}.flac"
                soundfile.write(folder / file, scaled, RATE_HZ)
                seconds, caption = f"{len(mono) / RATE_HZ:.2f}", _caption(path)
                licence = f"debian/copyright of {name}"
                rows[key] = dict(
                    zip(COLUMNS, (file, "train", f"debian-{name}", path, licence, seconds, caption, ""), strict=True)
                )
    return list(rows.values())


def _decoded(path: str, held: bytes) -> NDArray[np.float32]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"sound{_suffix(path)}")
        file.write_bytes(held)
        return load_mono(file, RATE_HZ)


def _caption(path: str) -> str:
    return re.sub(r"[\W_\d]+", " ", PurePosixPath(path).stem).strip().lower()


@dataclass(frozen=True)
class Tagger:
    """A teacher and its labels, in their order."""

    model: Path
    labels: tuple[str, ...]
    sample_rate_hz: int = 32_000

    @classmethod
    def of(cls, model: Path, labels: Path) -> Tagger:
        """The teacher in ``model`` with the labels in a file, one a line.

        Raises:
            KnownError: ``teacher_missing`` when either is not there, ``training_needs_more`` without onnx.
        """
        if importlib.util.find_spec("onnx") is None:
            raise KnownError(ErrorKind.TRAINING_NEEDS_MORE, "A teacher needs onnx.", "Install the extra “train”.")
        for path in (model, labels):
            if not path.is_file():
                raise KnownError(ErrorKind.TEACHER_MISSING, f"{path} is not there.", "Correct --teacher or --labels.")
        lines = labels.read_text(encoding="utf-8").splitlines()
        return cls(model, tuple(line.strip() for line in lines if line.strip()))

    def tag(self, rows: Sequence[dict[str, str]], folder: Path) -> None:
        """Fill in what the teacher hears in each sound: up to six labels of at least 5 %.

        Raises:
            KnownError: ``teacher_mismatch`` when there are more or fewer labels than the teacher has classes.
        """
        sounds = Files([folder / row["file"] for row in rows])
        logits = teacher.listen(sounds, self.model, self.sample_rate_hz, folder / "cache").logits
        if logits.shape[1] != len(self.labels):
            raise KnownError(
                ErrorKind.TEACHER_MISMATCH,
                f"The teacher knows {logits.shape[1]} classes, and there are {len(self.labels)} labels.",
                "Name the labels that belong to it.",
            )
        for row, chances in zip(rows, 1.0 / (1.0 + np.exp(-logits)), strict=True):
            best = [index for index in np.argsort(-chances)[:6].tolist() if chances[index] >= 0.05]
            row["audioset_tags"] = "; ".join(f"{self.labels[index]}={chances[index]:.2f}" for index in best)


def fetch(names: Sequence[str], folder: Path) -> list[Path]:
    """Each package's ``.deb`` in ``folder``, downloaded unless it is there.

    Raises:
        KnownError: ``package_missing`` naming the first that apt cannot fetch; ``not_debian`` without apt.
    """
    download = [_tool("apt-get"), "download", "--quiet"]
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if not list(folder.glob(f"{name}_*.deb")):
            got = subprocess.run([*download, name], cwd=folder, capture_output=True, text=True, check=False)
            if got.returncode != 0:
                raise KnownError(
                    ErrorKind.PACKAGE_MISSING,
                    f"apt-get cannot download {name}: {got.stderr.strip()[-200:]}",
                    "Run “apt-get update”, or use the Debian release that docs/training.md names.",
                )
    return [sorted(folder.glob(f"{name}_*.deb"))[-1] for name in names]


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise KnownError(ErrorKind.NOT_DEBIAN, f"Debian's packages need {name}.", "Run this on Debian or Ubuntu.")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Write sounds and their manifest."""
    parser = argparse.ArgumentParser(description="Gather sounds to train on out of Debian's packages.")
    parser.add_argument("folder", type=Path, help="where sounds and manifest.csv go")
    parser.add_argument(
        "--selection", default="debian-sources.json", help="which packages: JSON, or a shipped one's name"
    )
    parser.add_argument("--teacher", type=Path, help="ONNX model that tags them")
    parser.add_argument("--labels", type=Path, help="file with the teacher's labels, one a line")
    chosen = parser.parse_args(arguments)
    if (chosen.teacher is None) != (chosen.labels is None):
        parser.error("--teacher and --labels go together")
    try:
        selection = read_config(Selection, find_config(Path(chosen.selection)))
        tagger = None if chosen.teacher is None else Tagger.of(chosen.teacher, chosen.labels)
        packages = fetch(selection.packages, chosen.folder / "packages")
        rows = gather(packages, selection.leave_out, chosen.folder)
        if tagger is not None:
            tagger.tag(rows, chosen.folder)
    except KnownError as error:
        sys.exit(str(error))
    with (chosen.folder / "manifest.csv").open("w", encoding="utf-8", newline="") as out:
        table = csv.DictWriter(out, COLUMNS)
        table.writeheader()
        table.writerows(rows)
    hours = sum(min(PIECE_S, float(row["seconds"])) for row in rows) / 3600
    print(f"{len(rows)} sounds, {hours:.1f} hours, in {chosen.folder}")


if __name__ == "__main__":
    main()
