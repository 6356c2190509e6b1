"""How numbers, times and known errors read on screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.service.messages import Folder, Hit, IndexPhase, IndexProgress, IndexSummary

ERROR_TITLES: Final[Mapping[str, str]] = {
    "audio_device_failed": "The output device stopped working",
    "audio_no_device": "No output device",
    "audio_unavailable": "No sound output",
    "caption_empty": "Nothing to search for",
    "caption_not_text": "These words are not valid text",
    "disk_full": "The disk is full",
    "folder_already_covered": "Already in the library",
    "folder_missing": "Folder not found",
    "folder_no_answer": "A drive does not answer",
    "folder_no_permission": "No permission for this folder",
    "folder_unreadable": "The folder cannot be read",
    "home_unknown": "No such home folder",
    "indexed_with_other_pack": "Indexed with another model",
    "library_corrupt": "The library file is damaged",
    "library_foreign": "Not a Foundsound library",
    "library_io_error": "The library’s disk has a problem",
    "library_is_folder": "A folder, not a library",
    "library_locked": "The library is in use",
    "library_missing": "Library not found",
    "library_newer": "This library is from a newer Foundsound",
    "library_not_a_file": "Not a library file",
    "library_outdated": "This library is from an older Foundsound",
    "library_read_only": "The library is read-only",
    "library_unreadable": "The library cannot be opened",
    "library_unwritable": "The library cannot be created here",
    "library_vanished": "The library file is gone",
    "name_not_unicode": "The name is not valid text",
    "not_a_folder": "Not a folder",
    "pack_broken": "The model cannot be used",
    "pack_choice_unreadable": "The choice of model cannot be read",
    "pack_choice_broken": "The choice of model cannot be read",
    "pack_choice_unwritable": "The choice of model cannot be saved",
    "pack_newer": "This model is for a newer Foundsound",
    "pack_unknown": "Model not found",
    "pack_wrong_hash": "The model is damaged",
    "sound_changed": "Changed while being read",
    "sound_crashed": "Could not be decoded",
    "sound_damaged": "Damaged",
    "sound_empty": "Empty file",
    "sound_io_error": "The disk could not be read",
    "sound_no_permission": "No permission",
    "sound_silent": "Silent",
    "sound_timeout": "Took too long to read",
    "sound_truncated": "Cut short",
    "sound_unreadable": "Not readable as sound",
    "sound_vanished": "File not found",
    "workers_unavailable": "Sounds cannot be decoded now",
    "working_folder_missing": "The working folder is gone",
}
"""A few words for every kind of known error that can reach the desktop."""


def error_title(kind: str) -> str:
    """A few words for a kind of known error; one that an older library kept from an older version is spelt out."""
    return ERROR_TITLES.get(kind) or kind.replace("_", " ").capitalize()


def counted(number: int, noun: str, plural: str = "") -> str:
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


def matched(hit: Hit) -> str:
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


def elapsed(time_s: float) -> str:
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
        return f"{counted(progress.found, 'sound')} found"
    return f"{progress.done:,} of {counted(progress.total, 'sound')}"


def progress_rate(progress: IndexProgress) -> str:
    """Speed and time to go, while indexing."""
    if progress.phase is not IndexPhase.INDEXING:
        return ""
    return "  ·  ".join(part for part in (speed(progress.speed_x), time_left(progress.remaining_s)) if part)


def summary(done: IndexSummary) -> tuple[str, str]:
    """What a finished run did, in two short lines; empty where there is nothing to tell."""
    added = f"{counted(done.indexed, 'sound')} added in {elapsed(done.elapsed_s)}" if done.indexed else ""
    rest = {"moved": done.moved, "missing": done.missing, "not readable": done.failed}
    others = "  ·  ".join(f"{number:,} {what}" for what, number in rest.items() if number)
    if not added and not others and done.unchanged:
        return f"{counted(done.unchanged, 'sound')}, nothing new", ""
    return added, others


def folder_counts(folder: Folder) -> str:
    """The second line of a folder: how many sounds it holds and how many can be searched."""
    if not folder.available:
        return "Not available now"
    waiting = folder.sounds - folder.indexed - folder.failed - folder.missing
    if waiting > 0:
        return f"{folder.indexed:,} of {folder.sounds:,}"
    return counted(folder.indexed, "sound")


def parent_trail(path: Path, roots: tuple[Path, ...]) -> str:
    """Where a sound is, from its library folder's name downwards: ``Foley › Doors``."""
    parent = path.parent
    for root in roots:
        if parent.is_relative_to(root):
            return " › ".join((root.name or str(root), *parent.relative_to(root).parts))
    return str(parent)
