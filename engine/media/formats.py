"""Which files are sounds, by their names, and what each kind is decoded with: the one place that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Format:
    """A container.

    ``suffixes`` are of file names, in lower case; ``demuxer`` is FFmpeg's name for what reads it. libsndfile has the
    first try unless ``ffmpeg_first``.
    """

    suffixes: tuple[str, ...]
    demuxer: str
    ffmpeg_first: bool = False


FORMATS: Final = (
    Format((".wav", ".wave", ".bwf", ".rf64", ".amb"), "wav"),
    Format((".w64",), "w64"),
    Format((".aif", ".aiff", ".aifc"), "aiff"),
    Format((".caf",), "caf"),
    Format((".au", ".snd"), "au"),
    Format((".voc",), "voc"),
    Format((".flac",), "flac"),
    Format((".ogg", ".oga"), "ogg"),
    # libsndfile starts some Opus files up to a packet late (its issue 826, in version 1.2.2 still).
    Format((".opus",), "ogg", ffmpeg_first=True),
    # libsndfile ends MP3 of variable rate without a Xing header early (its issue 794).
    Format((".mp3",), "mp3", ffmpeg_first=True),
    # libsndfile reads none of these. Of a film, its default sound is taken.
    Format((".m4a", ".m4b", ".mp4", ".mov", ".3gp"), "mov", ffmpeg_first=True),
    Format((".aac",), "aac", ffmpeg_first=True),
    Format((".ac3",), "ac3", ffmpeg_first=True),
    Format((".wma",), "asf", ffmpeg_first=True),
    Format((".wv",), "wv", ffmpeg_first=True),
    Format((".tta",), "tta", ffmpeg_first=True),
    Format((".webm", ".mka", ".mkv"), "matroska", ffmpeg_first=True),
    Format((".avi",), "avi", ffmpeg_first=True),
)

SUPPORTED_SUFFIXES: Final = frozenset(suffix for kind in FORMATS for suffix in kind.suffixes)
FFMPEG_FIRST: Final = frozenset(suffix for kind in FORMATS if kind.ffmpeg_first for suffix in kind.suffixes)
DEMUXERS: Final = ",".join(sorted({kind.demuxer for kind in FORMATS}))
"""All that FFmpeg may open: without a list it takes a playlist or a subtitle named .wav at its word."""
