"""How numbers, times and known errors read on screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.errors import ErrorKind
from engine.library.types import Folder, Hit, IndexPhase, IndexProgress, IndexSummary

ERROR_TITLES: Final[Mapping[str, str]] = {
    ErrorKind.AUDIO_DEVICE_FAILED: "The output device stopped working",
    ErrorKind.AUDIO_NO_DEVICE: "No output device",
    ErrorKind.AUDIO_UNAVAILABLE: "No sound output",
    ErrorKind.CAPTION_EMPTY: "Nothing to search for",
    ErrorKind.CAPTION_NOT_TEXT: "These words are not valid text",
    ErrorKind.DISK_FULL: "The disk is full",
    ErrorKind.ENGINE_STOPPED: "The search engine is not running",
    ErrorKind.FOLDER_ALREADY_COVERED: "Already in the library",
    ErrorKind.FOLDER_MISSING: "Folder not found",
    ErrorKind.FOLDER_NO_ANSWER: "A drive does not answer",
    ErrorKind.FOLDER_NO_PERMISSION: "No permission for this folder",
    ErrorKind.FOLDER_UNKNOWN: "Not a folder of the library",
    ErrorKind.FOLDER_UNREADABLE: "The folder cannot be read",
    ErrorKind.HOME_UNKNOWN: "No such home folder",
    ErrorKind.INDEXED_WITH_OTHER_PACK: "Indexed with another model",
    ErrorKind.LIBRARY_CORRUPT: "The library file is damaged",
    ErrorKind.LIBRARY_FOREIGN: "Not a Foundsound library",
    ErrorKind.LIBRARY_IO_ERROR: "The library’s disk has a problem",
    ErrorKind.LIBRARY_IS_FOLDER: "A folder, not a library",
    ErrorKind.LIBRARY_LOCKED: "The library is in use",
    ErrorKind.LIBRARY_MISSING: "Library not found",
    ErrorKind.LIBRARY_NEWER: "This library is from a newer Foundsound",
    ErrorKind.LIBRARY_NOT_A_FILE: "Not a library file",
    ErrorKind.LIBRARY_ON_NETWORK: "The library lies on a network share",
    ErrorKind.LIBRARY_OUTDATED: "This library is from an older Foundsound",
    ErrorKind.LIBRARY_READ_ONLY: "The library is read-only",
    ErrorKind.LIBRARY_UNREADABLE: "The library cannot be opened",
    ErrorKind.LIBRARY_UNWRITABLE: "The library cannot be created here",
    ErrorKind.LIBRARY_VANISHED: "The library file is gone",
    ErrorKind.NAME_NOT_UNICODE: "The name is not valid text",
    ErrorKind.NOT_A_FOLDER: "Not a folder",
    ErrorKind.PACK_BROKEN: "The model cannot be used",
    ErrorKind.PACK_CHOICE_UNREADABLE: "The choice of model cannot be read",
    ErrorKind.PACK_CHOICE_BROKEN: "The choice of model cannot be read",
    ErrorKind.PACK_CHOICE_UNWRITABLE: "The choice of model cannot be saved",
    ErrorKind.PACK_NEWER: "This model is for a newer Foundsound",
    ErrorKind.PACK_UNKNOWN: "Model not found",
    ErrorKind.PACK_WRONG_HASH: "The model is damaged",
    ErrorKind.QUERY_INVALID: "This cannot be searched for",
    ErrorKind.SOUND_CHANGED: "Changed while being read",
    ErrorKind.SOUND_CRASHED: "Could not be decoded",
    ErrorKind.SOUND_DAMAGED: "Damaged",
    ErrorKind.SOUND_EMPTY: "Empty file",
    ErrorKind.SOUND_IO_ERROR: "The disk could not be read",
    ErrorKind.SOUND_NO_PERMISSION: "No permission",
    ErrorKind.SOUND_SILENT: "Silent",
    ErrorKind.SOUND_TIMEOUT: "Took too long to read",
    ErrorKind.SOUND_TRUNCATED: "Cut short",
    ErrorKind.SOUND_UNREADABLE: "Not readable as sound",
    ErrorKind.SOUND_VANISHED: "File not found",
    ErrorKind.WORKERS_UNAVAILABLE: "Sounds cannot be decoded now",
    ErrorKind.WORKING_FOLDER_MISSING: "The working folder is gone",
}
"""A few words for every kind of known error that can reach the desktop."""


def error_title(kind: str) -> str:
    """A few words for a kind of known error; one that an older library kept from an older version is spelt out."""
    return ERROR_TITLES.get(kind) or kind.replace("_", " ").capitalize()


def quantity(number: int, noun: str, plural: str = "") -> str:
    """``1 sound``, ``1,240 sounds``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def clock(time_s: float, decimals: int = 1) -> str:
    """A position or length within a sound: ``0:04.5``, ``12:30.0``, ``1:02:03``."""
    scale = 10**decimals
    units = max(0, round(time_s * scale))
    minutes, rest = divmod(units, 60 * scale)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{rest // scale:02d}"
    seconds = f"{rest // scale:02d}" + (f".{rest % scale:0{decimals}d}" if decimals else "")
    return f"{minutes}:{seconds}"


def matched_span(hit: Hit) -> str:
    """The whole seconds that matched, or nothing when that is all of the sound."""
    if is_whole(hit):
        return ""
    return f"{clock(hit.start_s, 0)} – {clock(hit.end_s, 0)}"


def is_whole(hit: Hit) -> bool:
    """Whether the matching segment is all of the sound."""
    return hit.start_s <= 0.05 and hit.end_s >= hit.duration_s - 0.05


def sample_format(hit: Hit) -> str:
    """``48 kHz stereo``."""
    channels = {1: "mono", 2: "stereo"}.get(hit.channels, f"{hit.channels} channels")
    return f"{hit.sample_rate_hz / 1000:g} kHz {channels}"


def time_left(remaining_s: float | None) -> str:
    """A rough time to go, or nothing while there is no estimate."""
    if remaining_s is None:
        return ""
    if remaining_s < 60:
        return "under a minute left"
    minutes = round(remaining_s / 60)
    if minutes < 90:
        return f"about {minutes} min left"
    return f"about {remaining_s / 3600:.1f} h left"


def time_taken(time_s: float) -> str:
    """How long something took: ``0.8 s``, ``42 s``, ``5 min``, ``2.1 h``."""
    if time_s < 10:
        return f"{time_s:.1f} s"
    if time_s < 90:
        return f"{time_s:.0f} s"
    if time_s < 5400:
        return f"{time_s / 60:.0f} min"
    return f"{time_s / 3600:.1f} h"


def speed(speed_x: float) -> str:
    """How much faster than listening: ``212× real time``."""
    if speed_x <= 0:
        return ""
    return f"{speed_x:,.0f}× real time" if speed_x >= 10 else f"{speed_x:.1f}× real time"


def progress_title(progress: IndexProgress) -> str:
    """What indexing is doing, in a word or two."""
    return {
        IndexPhase.IDLE: "",
        IndexPhase.SCANNING: "Looking for sounds",
        IndexPhase.INDEXING: "Indexing",
        IndexPhase.PAUSED: "Paused",
    }[progress.phase]


def progress_counts(progress: IndexProgress) -> str:
    """How far indexing is."""
    if progress.phase is IndexPhase.SCANNING:
        return f"{quantity(progress.found, 'sound')} found"
    return f"{progress.done:,} of {quantity(progress.total, 'sound')}"


def progress_rate(progress: IndexProgress) -> str:
    """Speed and time to go, while indexing."""
    if progress.phase is not IndexPhase.INDEXING:
        return ""
    return "  ·  ".join(part for part in (speed(progress.speed_x), time_left(progress.remaining_s)) if part)


def summary(done: IndexSummary) -> tuple[str, str]:
    """What a finished run did, in two short lines; empty where there is nothing to tell."""
    added = f"{quantity(done.indexed, 'sound')} added in {time_taken(done.elapsed_s)}" if done.indexed else ""
    rest = {"moved": done.moved, "missing": done.missing, "not readable": done.failed}
    others = "  ·  ".join(f"{number:,} {what}" for what, number in rest.items() if number)
    if not added and not others and done.unchanged:
        return f"{quantity(done.unchanged, 'sound')}, nothing new", ""
    return added, others


def folder_counts(folder: Folder) -> str:
    """The second line of a folder: how many sounds it holds and how many can be searched."""
    if not folder.available:
        return "Not available now"
    waiting = folder.sounds - folder.indexed - folder.failed - folder.missing
    if waiting > 0:
        return f"{folder.indexed:,} of {folder.sounds:,}"
    return quantity(folder.indexed, "sound")


def parent_trail(path: Path, roots: tuple[Path, ...]) -> str:
    """Where a sound is, from its library folder's name downwards: ``Foley › Doors``."""
    parent = path.parent
    for root in roots:
        if parent.is_relative_to(root):
            return " › ".join((root.name or str(root), *parent.relative_to(root).parts))
    return str(parent)
