"""Where in a sound file its audio lies, as against its tags: told by the file's structure, without decoding.

What counts as audio is the sound's bytes and what is needed to decode them, but nothing that a tag editor rewrites,
such as offsets. Wherever a file is not what its kind should be, more counts as audio rather than less: a sound may
then be embedded once too often, but is never taken for another. Sizes in files lie, so all are bounded by the file's
real size, and the number of chunks by ``MAX_CHUNKS``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple

# More than the fragments of a day-long MP4 have; a file made of tiny chunks must not take for ever.
MAX_CHUNKS: Final = 100_000

_UNKNOWN_SIZE: Final = 0xFFFF_FFFF
_MAX_TAGS: Final = 100
_MAX_STREAMS: Final = 1_000


class Span(NamedTuple):
    """Bytes of a file, from ``start`` to before ``end``."""

    start: int
    end: int


def audio_spans(file: BinaryIO, size: int) -> Iterator[Span]:
    """The spans of a file that hold its audio, in ascending order and apart; some may be empty.

    The file is read a little ahead of each span, and its position moves: seek before reading between two spans.

    Args:
        file: The file, open for reading.
        size: Its size in bytes.

    Raises:
        OSError: The file cannot be read.
    """
    view = _View(file, size)
    start = _end_of_head_tags(view)
    head = view.read(start, 16)
    if head[:4] == b"OggS":
        return _ogg(view, start)
    if head[:4] == b"fLaC":
        spans = _flac(view, start)
    elif (layout := _chunk_layout(head)) is not None:
        spans = _chunked(view, start, layout)
    elif head[4:8] in _FIRST_BOXES:
        spans = _boxed(view, start)
    else:  # MP3, AAC, WavPack and their like, and what is not known here
        spans = [Span(start, _start_of_tail_tags(view, start))]
    return iter(spans if any(span.end > span.start for span in spans) else [Span(0, size)])


class _View(NamedTuple):
    """A file of which any part can be read."""

    file: BinaryIO
    size: int

    def read(self, start: int, count: int) -> bytes:
        """``count`` bytes from ``start`` on, fewer at the end of the file."""
        if start >= self.size:  # perhaps beyond what the system can seek to
            return b""
        self.file.seek(start)
        return self.file.read(min(count, self.size - start))


# RIFF, AIFF, CAF, Wave64: chunks with an id and a size, side by side --------------------------------------------------


@dataclass(frozen=True)
class _ChunkLayout:
    """How a kind of file lays out its chunks.

    ``sound`` is the chunk of the samples, ``described_by`` are those that are needed to decode it.
    """

    header: struct.Struct  # id and size, in this order
    first: int
    alignment: int
    sound: bytes
    described_by: frozenset[bytes]
    size_has_header: bool = False


_WAVE = _ChunkLayout(struct.Struct("<4sI"), 12, 2, b"data", frozenset({b"fmt "}))
_WAVE_BIG_ENDIAN = _ChunkLayout(struct.Struct(">4sI"), 12, 2, b"data", frozenset({b"fmt "}))
_AIFF = _ChunkLayout(struct.Struct(">4sI"), 12, 2, b"SSND", frozenset({b"COMM"}))
_CAF = _ChunkLayout(struct.Struct(">4sQ"), 8, 1, b"data", frozenset({b"desc", b"pakt", b"kuki"}))
_W64_GUID: Final = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # what follows the four letters of each id but riff's
_W64_RIFF: Final = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
_W64 = _ChunkLayout(struct.Struct("<16sQ"), 40, 8, b"data" + _W64_GUID, frozenset({b"fmt " + _W64_GUID}), True)


def _chunk_layout(head: bytes) -> _ChunkLayout | None:
    kind, form = head[:4], head[8:12]
    if form == b"WAVE" and kind in (b"RIFF", b"RF64", b"BW64"):
        return _WAVE
    if form == b"WAVE" and kind == b"RIFX":
        return _WAVE_BIG_ENDIAN
    if kind == b"FORM" and form in (b"AIFF", b"AIFC"):
        return _AIFF
    if kind == b"caff":
        return _CAF
    return _W64 if head == _W64_RIFF else None


def riff_chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, Span]]:
    """The chunks ``fmt `` and ``data`` of a RIFF, RF64 or BW64 file; the caller looks whether it is one."""
    return _chunks(_View(file, size), 0, _WAVE)


def _chunked(view: _View, start: int, layout: _ChunkLayout) -> list[Span]:
    """Spans of the samples and their description; none where there are no samples."""
    chunks = list(_chunks(view, start, layout))
    return [span for _, span in chunks] if any(name == layout.sound for name, _ in chunks) else []


def _chunks(view: _View, start: int, layout: _ChunkLayout) -> Iterator[tuple[bytes, Span]]:
    """The chunks of the samples and of their description; without a name, what follows too many chunks."""
    large_size = 0  # of the samples, where 32 bits are too few for it
    position = start + layout.first
    for _ in range(MAX_CHUNKS):
        header = view.read(position, layout.header.size)
        if len(header) < layout.header.size:
            return
        name, length = layout.header.unpack(header)
        body = position + layout.header.size
        if layout.size_has_header:
            length -= layout.header.size
        if length < 0 or not (layout.size_has_header or _is_printable(name)):
            return
        if name == b"ds64":
            large_size = int.from_bytes(view.read(body + 8, 8), "little")
        if name == layout.sound:
            if length == _UNKNOWN_SIZE:
                length = large_size
            if length == 0:  # it was never filled in: recorders and streams leave it so
                length = view.size
        if name == layout.sound or name in layout.described_by:
            yield name, Span(body, min(body + length, view.size))
        position = body + length + -length % layout.alignment
    yield b"", Span(min(position, view.size), view.size)


def _is_printable(name: bytes) -> bool:
    return all(0x20 <= byte < 0x7F for byte in name)


# MP4, M4A, QuickTime: boxes, some of which hold boxes -----------------------------------------------------------------

_FIRST_BOXES: Final = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp"})
_BOXES_OF_BOXES: Final = frozenset({b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf"})
# Codec, durations, sizes, and what is cut off at the start; not the offsets, which move with the tags.
_AUDIO_BOXES: Final = frozenset({b"mdat", b"stsd", b"stts", b"stsc", b"stsz", b"stz2", b"elst", b"trex", b"trun"})


def _boxed(view: _View, start: int) -> list[Span]:
    """Spans of the samples and their description; none where there are no samples.

    Boxes in boxes are walked as one row, so nothing is nested too deep.
    """
    spans: list[Span] = []
    has_sound = False
    position = start
    for _ in range(MAX_CHUNKS):
        header = view.read(position, 16)
        if len(header) < 8:
            break
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        body = position + 8
        if length == 1:
            length, body = int.from_bytes(header[8:], "big"), position + 16
        elif length == 0 and name == b"mdat":
            length = view.size - position
        if position + length < body:
            break
        if name in _AUDIO_BOXES:
            spans.append(Span(min(body, view.size), min(position + length, view.size)))
            has_sound = has_sound or name == b"mdat"
        position = body if name in _BOXES_OF_BOXES else position + length
    else:
        spans.append(Span(min(position, view.size), view.size))
    return spans if has_sound else []


# FLAC: metadata blocks, then frames to the end ------------------------------------------------------------------------


def _flac(view: _View, start: int) -> list[Span]:
    """Spans of STREAMINFO and of the frames; none where the metadata have no end."""
    spans: list[Span] = []
    position = start + 4
    for _ in range(MAX_CHUNKS):
        header = view.read(position, 4)
        body, length = position + 4, int.from_bytes(header[1:], "big")
        position = body + length
        if len(header) < 4 or position > view.size:
            return []
        if header[0] & 0x7F == 0:
            spans.append(Span(body, position))
        if header[0] & 0x80:
            return [*spans, Span(position, _start_of_tail_tags(view, position))]
    return []


# Ogg: pages, which carry the packets of streams -----------------------------------------------------------------------


@dataclass
class _Packets:
    """Where a stream of an Ogg file is: in its header packets, of which one holds the tags, or past them."""

    codec: bytes = b""
    number: int = 0
    is_inside: bool = False
    is_tag: bool = False
    has_headers: bool = True

    def begin(self, first_bytes: bytes) -> None:
        """Look at the packet that begins here."""
        self.is_inside = True
        if self.number == 0:
            self.codec = next((codec for codec in _OGG_CODECS if first_bytes.startswith(codec)), b"")
            self.has_headers = bool(self.codec)
        elif self.codec == _OGG_FLAC:  # all its metadata blocks, each in a packet; frames begin with this byte
            self.is_tag = first_bytes[:1] != b"\xff"
            self.has_headers = self.is_tag
        else:
            self.is_tag = self.number == 1
            self.has_headers = self.is_tag

    def end(self) -> None:
        """Leave the packet."""
        self.number += 1
        self.is_inside = self.is_tag = False


_OGG_FLAC: Final = b"\x7fFLAC"
_OGG_CODECS: Final = (b"\x01vorbis", b"OpusHead", b"Speex   ", _OGG_FLAC)
_FIRST_PAGE, _LAST_PAGE = 0x02, 0x04


def _ogg(view: _View, start: int) -> Iterator[Span]:
    """Spans of the packets but for those of tags, and of where the last page of a stream says that the sound ends.

    How packets lie on pages is not audio: tag editors lay them out anew. A file that is not one page after another is
    audio from there on.
    """
    streams: dict[bytes, _Packets] = {}
    position = start
    while position < view.size:
        header = view.read(position, 27)
        lengths = view.read(position + 27, header[26]) if len(header) == 27 else b""
        if header[:4] != b"OggS" or len(header) < 27 or len(lengths) < header[26] or len(streams) > _MAX_STREAMS:
            yield Span(position, view.size)
            return
        kind, serial, body = header[5], header[14:18], position + 27 + len(lengths)
        if kind & _FIRST_PAGE:
            streams[serial] = _Packets()
        packets = streams.get(serial)
        if kind & _LAST_PAGE:
            yield Span(position + 6, position + 14)
            streams.pop(serial, None)
        position = min(body + sum(lengths), view.size)
        if packets is None or not packets.has_headers:
            yield Span(min(body, view.size), position)
        else:
            yield from _header_page(view, body, lengths, packets)


def _header_page(view: _View, body: int, lengths: bytes, packets: _Packets) -> Iterator[Span]:
    """Spans of the packets on a page of a stream's headers, but for tags. A length below 255 ends its packet."""
    for length in lengths:
        if not packets.is_inside:
            packets.begin(view.read(body, 8))
        if not packets.is_tag:
            yield Span(min(body, view.size), min(body + length, view.size))
        body += length
        if length < 255:
            packets.end()


# Tags before and after a stream: ID3, APE, Lyrics3 --------------------------------------------------------------------


def _end_of_head_tags(view: _View) -> int:
    """Where the tags at the start of a file end: its ID3v2 and APEv2 tags, of which there may be several."""
    position = 0
    for _ in range(_MAX_TAGS):
        header = view.read(position, 32)
        length = _id3v2_length(header, b"ID3") or _ape_length(header)
        if not length or position + length > view.size:
            break
        position += length
    return position


def _start_of_tail_tags(view: _View, start: int) -> int:
    """Where the tags at the end of a file begin, at the earliest at ``start``."""
    end = view.size
    for _ in range(_MAX_TAGS):
        length = _tail_tag_length(view, start, end)
        if not length or end - length < start:
            break
        end -= length
    return end


def _tail_tag_length(view: _View, start: int, end: int) -> int:
    """Length in bytes of the tag that ends at ``end``; 0 where none does."""
    tail = view.read(max(start, end - 227), min(227, end - start))
    if len(tail) == 227 and tail.startswith(b"TAG+"):  # it stands before an ID3v1 tag
        return 227
    if len(tail) >= 128 and tail[-128:].startswith(b"TAG"):
        return 128
    if length := _id3v2_length(tail[-10:], b"3DI"):
        return length
    if tail[-32:].startswith(b"APETAGEX"):
        return _ape_length(tail[-32:])
    if tail.endswith(b"LYRICS200") and (digits := tail[-15:-9]).isdigit():
        length = int(digits) + 15
        return length if view.read(end - length, 11) == b"LYRICSBEGIN" else 0
    if tail.endswith(b"LYRICSEND"):  # version 1 tells no length, but is 5,100 bytes at most, and two marks
        earliest = max(start, end - 5_120)
        found = view.read(earliest, end - earliest).rfind(b"LYRICSBEGIN")
        return end - earliest - found if found >= 0 else 0
    return 0


def _id3v2_length(header: bytes, mark: bytes) -> int:
    """Length in bytes of an ID3v2 tag, from its header or its footer; 0 where it is none (id3.org/id3v2.4.0)."""
    if not re.match(re.escape(mark) + rb"[^\xff][^\xff].[\x00-\x7f]{4}", header, re.DOTALL):
        return 0
    length = 0
    for byte in header[6:10]:
        length = length << 7 | byte
    return length + (20 if header[5] & 0x10 else 10)


def _ape_length(mark: bytes) -> int:
    """Length in bytes of an APEv2 tag, from its header or its footer, 32 bytes; 0 where it is none."""
    if len(mark) < 32 or not mark.startswith(b"APETAGEX"):
        return 0
    length, _, flags = struct.unpack_from("<III", mark, 12)
    return int(length) + (32 if flags & 0x8000_0000 else 0) if length >= 32 else 0
