"""Which bytes of a sound file are its audio, with what is needed to decode it, and which are tags and the like.

Only what containers are known to hold is taken apart: RIFF, RF64 and BW64 (EBU Tech 3306), Sony Wave64, AIFF, CAF,
FLAC, MPEG audio between its tags, Ogg (RFC 3533) and MP4. In all else, and wherever a file is odd, every byte is audio.
Sizes that a file declares are never believed beyond its end.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

Span = tuple[int, int]
"""From the first byte up to but without the second."""

_MOST_CHUNKS: Final = 100_000
_UNKNOWN_SIZE: Final = 0xFFFFFFFF
_W64_RIFF: Final = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_MP4_BOXES: Final = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})


def audio_spans(file: BinaryIO, size: int) -> list[Span]:
    """The spans of a file that are audio, in order and apart; all of it where the container is not known.

    Args:
        file: The open file; it is left at any position.
        size: Its length in bytes.

    Raises:
        OSError: It cannot be read.
    """
    file.seek(0)
    head = file.read(16)
    spans = [(first, min(end, size)) for first, end in _spans(head, file, size) if first < min(end, size)]
    has_audio = any(end - first > 0 for first, end in spans)
    return spans if has_audio else [(0, size)]


def _spans(head: bytes, file: BinaryIO, size: int) -> list[Span]:
    after_id3 = _after_id3v2(file, size)
    magic = _read(file, after_id3, 4)
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _needing(b"data", riff_chunks(file, size))
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _needing(b"SSND", _chunks(file, size, 12, ">I", {b"COMM", b"SSND"}))
    if head == _W64_RIFF:
        return _needing(b"data", _wave64(file, size))
    if head[:4] == b"caff":
        return _needing(b"data", _chunks(file, size, 8, ">q", {b"desc", b"kuki", b"pakt", b"data"}))
    if magic == b"fLaC":
        return _flac(file, size, after_id3)
    if head[:4] == b"OggS":
        return list(_ogg(file, size))
    if head[4:8] in _MP4_BOXES:
        return list(_mp4(file, size))
    if len(magic) > 1 and magic[0] == 0xFF and magic[1] & 0xE0 == 0xE0:
        return [(after_id3, _before_tail_tags(file, after_id3, size))]
    return []


def _read(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(max(0, position))
    return file.read(count)


def _needing(wanted: bytes, chunks: Iterator[tuple[bytes, Span]]) -> list[Span]:
    """The spans of chunks, where one of them is the audio itself."""
    found = list(chunks)
    return [span for _, span in found] if any(name == wanted for name, _ in found) else []


def _chunks(
    file: BinaryIO, size: int, position: int, length_format: str, wanted: set[bytes]
) -> Iterator[tuple[bytes, Span]]:
    """Chunks of four letters and a length; a negative length reaches to the end. AIFF's are padded to even lengths."""
    header = 4 + struct.calcsize(length_format)
    padded = length_format == ">I"
    for _ in range(_MOST_CHUNKS):
        start = _read(file, position, header)
        if len(start) < header:
            return
        (length,) = struct.unpack(length_format, start[4:])
        body = position + header
        end = size if length < 0 else body + length
        if start[:4] in wanted:
            yield start[:4], (body, end)
        position = end + (end - body & 1 if padded else 0)
        if position >= size:
            return


def riff_chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, Span]]:
    """The chunks ``fmt `` and ``data`` of a RIFF, RF64 or BW64 file; the caller looks whether it is one."""
    position, long_data = 12, None
    for _ in range(_MOST_CHUNKS):
        start = _read(file, position, 8)
        if len(start) < 8:
            return
        name, length = start[:4], int.from_bytes(start[4:], "little")
        body = position + 8
        if name == b"ds64":
            sizes = _read(file, body, 16)
            long_data = int.from_bytes(sizes[8:16], "little") if len(sizes) == 16 else None
        if name == b"data" and length in (0, _UNKNOWN_SIZE):  # 64 bits long, or written as a stream
            length = long_data if long_data is not None and length else size - body
        if name in (b"fmt ", b"data"):
            yield name, (body, body + length)
        position = body + length + (length & 1)
        if position >= size:
            return


def _wave64(file: BinaryIO, size: int) -> Iterator[tuple[bytes, Span]]:
    position = 40
    for _ in range(_MOST_CHUNKS):
        start = _read(file, position, 24)
        if len(start) < 24:
            return
        name, length = start[:4], int.from_bytes(start[16:], "little")
        if length < 24:
            return
        if name in (b"fmt ", b"data"):
            yield name, (position + 24, position + length)
        position += length + 7 & ~7
        if position >= size:
            return


def _flac(file: BinaryIO, size: int, position: int) -> list[Span]:
    """STREAMINFO, and the frames after the last block of metadata."""
    position += 4
    info: list[Span] = []
    for _ in range(_MOST_CHUNKS):
        start = _read(file, position, 4)
        if len(start) < 4:
            return []
        body, length = position + 4, int.from_bytes(start[1:], "big")
        if start[0] & 0x7F == 0 and not info:
            info = [(body, body + length)]
        position = body + length
        if start[0] & 0x80:
            end = _before_tail_tags(file, position, size)
            return [*info, (position, end)] if position < end else []
        if position >= size:
            return []
    return []


def _ogg(file: BinaryIO, size: int) -> Iterator[Span]:
    """The packets of each stream but the second, which holds its comments; pages are numbered anew by taggers."""
    packets: dict[bytes, int] = {}
    position = 0
    while position < size:
        header = _read(file, position, 27 + 255)
        if len(header) < 27 or header[:4] != b"OggS":
            yield position, size  # damaged: what follows is not taken apart
            return
        serial, lacing = header[14:18], header[27 : 27 + header[26]]
        number = packets.get(serial, 0)
        start = at = position + 27 + len(lacing)
        for length in lacing:
            at += length
            if length < 255:  # the end of a packet
                if number <= 2:
                    if number != 1 and at > start:
                        yield start, at
                    start = at
                number += 1
        if number != 1 and at > start:
            yield start, at
        packets[serial] = number
        position = at


def _mp4(file: BinaryIO, size: int) -> Iterator[Span]:
    """The media data."""
    position = 0
    for _ in range(_MOST_CHUNKS):
        start = _read(file, position, 16)
        if len(start) < 8:
            return
        length, header = int.from_bytes(start[:4], "big"), 8
        if length == 1:
            length, header = int.from_bytes(start[8:16], "big"), 16
        end = position + length if length else size
        if length and length < header:
            return
        if start[4:8] == b"mdat":
            yield position + header, end
        position = end
        if position >= size:
            return


def _after_id3v2(file: BinaryIO, size: int) -> int:
    """Where what follows the ID3v2 tags at the start begins."""
    position = 0
    while position < size:
        start = _read(file, position, 10)
        if len(start) < 10 or start[:3] != b"ID3":
            break
        length = sum((byte & 0x7F) << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=True))
        position += 10 + length + (10 if start[5] & 0x10 else 0)
    return min(position, size)


def _before_tail_tags(file: BinaryIO, first: int, size: int) -> int:
    """Where the tags at the end begin: ID3v1, APEv2, Lyrics3v2, in any order."""
    strippers: tuple[Callable[[BinaryIO, int], int], ...] = (_id3v1_length, _ape_length, _lyrics_length)
    end = size
    for _ in range(len(strippers) + 1):
        length = max(stripper(file, end) for stripper in strippers)
        if not length or end - length < first:
            break
        end -= length
    return end


def _id3v1_length(file: BinaryIO, end: int) -> int:
    return 128 if end >= 128 and _read(file, end - 128, 3) == b"TAG" else 0


def _ape_length(file: BinaryIO, end: int) -> int:
    footer = _read(file, end - 32, 32) if end >= 32 else b""
    if footer[:8] != b"APETAGEX":
        return 0
    _, length, _, flags = struct.unpack("<IIII", footer[8:24])  # version, length with this footer, items, flags
    return int(length) + (32 if flags & 1 << 31 else 0)


def _lyrics_length(file: BinaryIO, end: int) -> int:
    tail = _read(file, end - 15, 15) if end >= 15 else b""
    if tail[6:] != b"LYRICS200" or not tail[:6].isdigit():
        return 0
    return int(tail[:6]) + 15
