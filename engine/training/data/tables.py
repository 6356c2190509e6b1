"""Sounds with captions, from the tables that such data is published in."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import ErrorKind, KnownError

T = TypeVar("T")


@dataclass(frozen=True)
class Clip:
    """A sound and the captions that people wrote for it."""

    path: Path
    captions: tuple[str, ...]


@dataclass(frozen=True)
class TaggedClip:
    """A sound with a name and tags, from which captions are made (``engine.training.data.captions``).

    ``tags`` are (AudioSet label, probability); ``seconds`` is the length of the original; ``written`` are captions that
    someone wrote for it.
    """

    path: Path
    split: str
    source: str
    name: str
    seconds: float
    tags: tuple[tuple[str, float], ...]
    written: tuple[str, ...] = ()


@dataclass(frozen=True)
class RetrievalSet:
    """Captions, files, and for each caption the indices of the files it describes."""

    files: tuple[Path, ...]
    captions: tuple[str, ...]
    relevant: tuple[tuple[int, ...], ...]

    @classmethod
    def of_clips(cls, clips: Sequence[Clip]) -> RetrievalSet:
        """Every caption of every clip as a query whose one answer is that clip (DCASE 2022 task 6b)."""
        pairs = [(caption, index) for index, clip in enumerate(clips) for caption in clip.captions]
        return cls(
            tuple(clip.path for clip in clips),
            tuple(caption for caption, _ in pairs),
            tuple((index,) for _, index in pairs),
        )

    @classmethod
    def of_pairs(cls, pairs: Iterable[tuple[str, Path]], files: Sequence[Path] = ()) -> RetrievalSet:
        """Caption and file pairs, where one caption may have many files and one file many captions.

        ``files`` adds files that no caption describes but that are searched all the same.
        """
        wanted: dict[str, dict[Path, None]] = {}
        every: dict[Path, None] = {}
        for caption, path in pairs:
            wanted.setdefault(caption, {})[path] = None
            every[path] = None
        every |= dict.fromkeys(files)
        index = {path: number for number, path in enumerate(every)}
        relevant = tuple(tuple(index[path] for path in paths) for paths in wanted.values())
        return cls(tuple(every), tuple(wanted), relevant)

    def mask(self) -> NDArray[np.bool_]:
        """(captions, files): which files each caption describes."""
        mask = np.zeros((len(self.captions), len(self.files)), dtype=np.bool_)
        for row, columns in zip(mask, self.relevant, strict=True):
            row[list(columns)] = True
        return mask

    def without(self, lost: Collection[int]) -> RetrievalSet:
        """The set without some of its files, and without captions that then describe none."""
        numbers = {old: new for new, old in enumerate(sorted(set(range(len(self.files))) - set(lost)))}
        kept = [
            (caption, left)
            for caption, relevant in zip(self.captions, self.relevant, strict=True)
            if (left := tuple(numbers[index] for index in relevant if index in numbers))
        ]
        return RetrievalSet(
            tuple(self.files[index] for index in numbers),
            tuple(caption for caption, _ in kept),
            tuple(relevant for _, relevant in kept),
        )


def load_manifest(
    table: Path, split: str | None = None, written: Mapping[str, tuple[str, ...]] = MappingProxyType({})
) -> list[TaggedClip]:
    """A manifest with ``file, split, source, seconds, caption, audioset_tags``; files lie beside the table.

    ``written`` holds captions by what stands under ``file``.

    Raises:
        KnownError: ``data_missing``, ``data_columns`` or ``data_malformed``.
    """
    clips = []
    splits: set[str] = set()
    for number, row in enumerate(_rows(table, ("file", "split", "source", "seconds", "caption", "audioset_tags")), 2):
        splits.add(row["split"])
        if split is not None and row["split"] != split:
            continue
        try:
            seconds, tags = float(row["seconds"]), parse_tags(row["audioset_tags"])
        except ValueError as error:
            raise KnownError(
                ErrorKind.DATA_MALFORMED, f"Line {number} of {table} cannot be read: {error}.", "Correct that line."
            ) from error
        path = table.parent / row["file"]
        own = written.get(row["file"], ())
        clips.append(TaggedClip(path, row["split"], row["source"], row["caption"], seconds, tags, own))
    if splits and not clips:
        raise KnownError(
            ErrorKind.DATA_MISSING,
            f"{table} names no sound of the split “{split}”.",
            f"Its splits are {', '.join(sorted(splits))}.",
        )
    return _not_empty(clips, table)


def subset(items: Sequence[T], count: int) -> list[T]:
    """``count`` of the items, always the same ones at random, in their order; all of them where it is 0 or too many."""
    if count == 0 or count >= len(items):
        return list(items)
    chosen = np.random.default_rng(0).permutation(len(items))[:count]
    return [items[index] for index in sorted(chosen.tolist())]


def load_clotho(root: Path, split: Literal["development", "validation", "evaluation"]) -> list[Clip]:
    """Clotho v2.1 as published (Zenodo record 4783391): ``<split>/*.wav`` and ``clotho_captions_<split>.csv``.

    Raises:
        KnownError: ``data_missing``, ``data_columns`` or ``data_malformed`` when the layout is another.
    """
    return load_captioned(root / f"clotho_captions_{split}.csv", root / split)


def load_captioned(table: Path, audio: Path, check: bool = True) -> list[Clip]:
    """A table with ``file_name`` and either ``caption`` or ``caption_1``, ``caption_2``, ... (the Clotho layout).

    Rows of one file are put together. Raises as :func:`load_manifest`, also when a file is missing, unless ``check`` is
    False.
    """
    captions: dict[str, list[str]] = {}
    for row in _rows(table, ("file_name",)):
        numbered = [row[column] for column in row if column == "caption" or column.startswith("caption_")]
        if not numbered:
            raise KnownError(
                ErrorKind.DATA_COLUMNS,
                f"{table} has no column caption or caption_1.",
                "Name the columns file_name, caption.",
            )
        captions.setdefault(row["file_name"], []).extend(text.strip() for text in numbered if text.strip())
    clips = [Clip(audio / name, tuple(texts)) for name, texts in captions.items() if name.strip()]
    if clips and not any(clip.captions for clip in clips):
        raise KnownError(ErrorKind.DATA_MISSING, f"{table} has no captions.", "Write at least one beside a file name.")
    return _all_there(_not_empty(clips, table), table) if check else _not_empty(clips, table)


def load_audiocaps(table: Path, audio: Path) -> list[Clip]:
    """A table like AudioCaps (Kim et al. 2019): ``youtube_id, start_time, caption``, one caption a row.

    A file is found as ``<youtube_id>`` or ``<youtube_id>_<start_time>``, with or without a leading ``Y``, with any
    suffix. AudioCaps is never whole (videos vanish), so clips without a file are left out.

    Raises:
        KnownError: as :func:`load_manifest`; ``data_missing`` also when no clip has its file.
    """
    there = {path.stem: path for path in sorted(audio.iterdir())} if audio.is_dir() else {}
    captions: dict[Path, list[str]] = {}
    for row in _rows(table, ("youtube_id", "start_time", "caption")):
        name = row["youtube_id"]
        stems = (f"{name}_{row['start_time']}", f"Y{name}_{row['start_time']}", name, f"Y{name}")
        path = next((there[stem] for stem in stems if stem in there), None)
        if path is not None and row["caption"].strip():
            captions.setdefault(path, []).append(row["caption"].strip())
    if not captions:
        raise KnownError(
            ErrorKind.DATA_MISSING, f"{audio} holds no sound that {table} names.", "Check the folder of sounds."
        )
    return [Clip(path, tuple(texts)) for path, texts in captions.items()]


def load_queries(table: Path, audio: Path, check: bool = True) -> RetrievalSet:
    """A table ``caption, file_name`` where one caption may have many files, over all files that the table names.

    Raises as :func:`load_captioned`.
    """
    pairs = [(row["caption"].strip(), audio / row["file_name"]) for row in _rows(table, ("caption", "file_name"))]
    found = RetrievalSet.of_pairs(_not_empty([pair for pair in pairs if pair[0]], table))
    if check:
        _all_there([Clip(path, ()) for path in found.files], table)
    return found


def load_evaluation(table: Path, audio: Path) -> RetrievalSet:
    """What to evaluate on: the Clotho layout, where each caption describes one file, or else ``caption, file_name``.

    Files may be missing. Raises as :func:`load_manifest`.
    """
    columns = next(iter(_rows(table, ("file_name",))), {})
    if "caption_1" in columns:
        return RetrievalSet.of_clips(load_captioned(table, audio, check=False))
    return load_queries(table, audio, check=False)


def parse_tags(text: str) -> tuple[tuple[str, float], ...]:
    """``"Dog=0.9; Bow-wow=0.4"`` -> (("Dog", 0.9), ("Bow-wow", 0.4)); ValueError when malformed."""
    tags = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        label, equals, probability = part.rpartition("=")
        if not equals:
            raise ValueError(f"tag {part!r} has no probability")
        tags.append((label, float(probability)))
    return tuple(tags)


def _rows(table: Path, required: Sequence[str]) -> Iterable[dict[str, str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            columns = reader.fieldnames or ()
            missing = [column for column in required if column not in columns]
            if missing:
                raise KnownError(
                    ErrorKind.DATA_COLUMNS,
                    f"{table} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}.",
                    f"It needs {', '.join(required)}.",
                )
            for row in reader:
                yield {column: value for column, value in row.items() if column is not None}
    except OSError as error:
        raise KnownError(
            ErrorKind.DATA_MISSING, f"{table} cannot be read: {error.strerror}.", "Check the path of the data."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise KnownError(
            ErrorKind.DATA_MALFORMED, f"{table} is not a CSV table in UTF-8: {error}.", "Save it as such."
        ) from error


def _not_empty(items: list[T], table: Path) -> list[T]:
    if not items:
        raise KnownError(ErrorKind.DATA_MISSING, f"{table} names no sound to use.", "Check the table and the split.")
    return items


def _all_there(clips: list[Clip], table: Path) -> list[Clip]:
    lost = [clip.path for clip in clips if not clip.path.is_file()]
    if lost:
        raise KnownError(
            ErrorKind.DATA_MISSING,
            f"{len(lost)} of the {len(clips)} sounds that {table} names are missing, {lost[0]} first.",
            "Check the folder of sounds.",
        )
    return clips
