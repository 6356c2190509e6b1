"""A fingerprint tells a sound's audio from what stands around it, in every container, and whatever a file claims."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable
from pathlib import Path

import mutagen
import mutagen.apev2
import mutagen.id3
import mutagen.mp4
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import KnownError
from engine.media.audio_bytes import MAX_CHUNKS, audio_spans
from engine.media.decode import Block, DecodeOptions, decode, fingerprint_file
from engine.media.fingerprint import Digest, Fingerprint
from tests.sounds import noise, write_sound, write_with_ffmpeg

SUFFIXES = [
    *[".wav", ".rf64", ".w64", ".aiff", ".caf", ".flac", ".ogg", ".opus", ".mp3"],
    *[".oga", ".m4a", ".mov", ".aac", ".wv", ".tta"],
]
CODECS = {".oga": "flac", ".m4a": "aac", ".mov": "pcm_s16le", ".aac": "aac", ".wv": "wavpack", ".tta": "tta"}


def write(path: Path, seed: int = 0) -> Path:
    """Two seconds of noise."""
    sound = noise(2.0, 48_000, seed=seed)
    if (codec := CODECS.get(path.suffix)) is not None:
        return write_with_ffmpeg(path, sound, codec, 48_000)
    return write_sound(path, sound, 48_000)


def fingerprint(data: bytes) -> Fingerprint:
    return Digest(io.BytesIO(data), len(data), False, lambda: None).finish()


def audio(data: bytes) -> bytes:
    return fingerprint(data).audio


def whole(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def insert(data: bytes, at: int, more: bytes) -> bytes:
    return data[:at] + more + data[at:]


def chunk(name: bytes, content: bytes, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(content)) + content + bytes(len(content) % 2)


def ape_tag(content: bytes) -> bytes:
    mark = struct.pack("<8sIIII8x", b"APETAGEX", 2000, len(content) + 32, 1, 0x8000_0000)
    return mark + content + mark


def tag_with_mutagen(path: Path, text: str) -> None:
    tagged = mutagen.File(path)
    if tagged.tags is None:
        tagged.add_tags()
    if isinstance(tagged.tags, mutagen.id3.ID3):
        tagged.tags.add(mutagen.id3.TIT2(encoding=3, text=[text]))  # type: ignore[no-untyped-call]
    elif isinstance(tagged, mutagen.mp4.MP4):
        tagged.tags["\xa9nam"] = [text]
    else:
        tagged.tags["title"] = [text]
    tagged.save()


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".flac", ".ogg", ".opus", ".oga", ".mp3", ".m4a", ".aac", ".wv"])
def test_editing_tags_leaves_the_audio(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}")
    bare = fingerprint_file(path)
    seen = {bare.rest}
    for text in ["short", "long " * 20_000, "short again"]:
        if suffix in (".wv", ".aac"):
            tags = mutagen.apev2.APEv2()  # type: ignore[no-untyped-call]
            tags["title"] = text
            tags.save(path)
        else:
            tag_with_mutagen(path, text)
        tagged = fingerprint_file(path)
        assert tagged.audio == bare.audio
        assert tagged.rest not in seen
        seen.add(tagged.rest)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_only_the_sound_counts(tmp_path: Path, suffix: str) -> None:
    first, other = (write(tmp_path / f"{seed}{suffix}", seed) for seed in (0, 1))
    assert fingerprint_file(first).audio != fingerprint_file(other).audio
    copy = tmp_path / f"copy{suffix}"
    copy.write_bytes(first.read_bytes())
    assert fingerprint_file(copy) == fingerprint_file(first)
    *blocks, info = decode(first, DecodeOptions(48_000, 10_000))
    assert sum(len(block.waveform) for block in blocks if isinstance(block, Block)) > 90_000
    assert not isinstance(info, Block)
    assert info.fingerprint == fingerprint_file(first)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_changed_sample_changes_the_audio(tmp_path: Path, suffix: str) -> None:
    data = write(tmp_path / f"a{suffix}").read_bytes()
    at = len(data) // 2
    assert audio(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]) != audio(data)


@pytest.mark.parametrize("suffix", [".wav", ".rf64", ".aiff"])
@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("name", [b"bext", b"iXML", b"LIST", b"id3 "])
def test_chunks_around_the_sound_are_not_audio(tmp_path: Path, suffix: str, place: str, name: bytes) -> None:
    data = write(tmp_path / f"a{suffix}").read_bytes()
    sound = data.index(b"SSND" if suffix == ".aiff" else b"data")
    more = chunk(name, b"an odd number of bytes.", ">" if suffix == ".aiff" else "<")
    tagged = insert(data, sound if place == "before" else len(data), more)
    assert audio(tagged) == audio(data) != whole(tagged)
    assert fingerprint(tagged).rest != fingerprint(data).rest


def test_chunks_of_caf_and_wave64(tmp_path: Path) -> None:
    caf = write(tmp_path / "a.caf").read_bytes()
    tagged = insert(caf, caf.index(b"desc") + 12 + 32, b"info" + struct.pack(">q", 5) + b"about")
    assert audio(tagged) == audio(caf) != whole(caf)
    w64 = write(tmp_path / "a.w64").read_bytes()
    at = w64.index(b"data\xf3")
    more = b"bext" + w64[at + 4 : at + 16] + struct.pack("<Q", 24 + 5) + b"about" + bytes(3)
    assert audio(insert(w64, at, more)) == audio(w64) != whole(w64)


def test_equal_bytes_of_another_format_are_another_sound(tmp_path: Path) -> None:
    data = write(tmp_path / "a.wav").read_bytes()
    form, fields = data[20:36], list(struct.unpack("<HHIIHH", data[20:36]))
    fields[3:] = [144_000, 3, 24]
    assert audio(data.replace(form, struct.pack("<HHIIHH", *fields))) != audio(data)


@pytest.mark.parametrize("declared", [0, 0xFFFF_FFFF, 0xFFFF_FFF0])
def test_a_size_that_a_recorder_never_filled_in_reaches_to_the_end(tmp_path: Path, declared: int) -> None:
    data = write(tmp_path / "a.wav").read_bytes()
    assert data[36:40] == b"data"
    assert audio(data[:40] + struct.pack("<I", declared) + data[44:]) == audio(data)


def test_a_sound_beyond_4_gib_has_its_size_elsewhere(tmp_path: Path) -> None:
    data = write(tmp_path / "a.rf64").read_bytes()
    assert data[:4] == b"RF64"
    at = data.index(b"data") + 4
    assert data[at : at + 4] == b"\xff" * 4
    assert audio(data + chunk(b"iXML", b"about")) == audio(data)


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".aac", ".wv"])
def test_tags_at_both_ends(tmp_path: Path, suffix: str) -> None:
    data = write(tmp_path / f"a{suffix}").read_bytes()
    id3v2 = b"ID3\x04\x00\x00" + bytes([0, 0, 1, 2]) + bytes(130)
    id3v2_at_end = b"ID3\x04\x00\x10" + bytes([0, 0, 0, 5]) + bytes(5) + b"3DI\x04\x00\x10" + bytes([0, 0, 0, 5])
    ape = ape_tag(b"item")
    lyrics = b"LYRICSBEGIN" + b"la la la"
    tails = [
        b"TAG" + bytes(125),
        b"TAG+" + bytes(223) + b"TAG" + bytes(125),
        ape,
        ape[32:-12] + bytes(12),  # without a header
        lyrics + b"%06d" % len(lyrics) + b"LYRICS200" + b"TAG" + bytes(125),
        lyrics + b"LYRICSEND" + b"TAG" + bytes(125),
        ape + b"TAG" + bytes(125),
        id3v2_at_end,
    ]
    bare = audio(data)
    if suffix != ".wv":
        assert bare == audio(id3v2 + id3v2 + data)
    for tail in tails:
        assert audio(data + tail) == bare
    assert audio(data + b"no tag") != bare


def test_how_packets_lie_on_pages_is_not_audio(tmp_path: Path) -> None:
    """Tags that no longer fit move all that follows to other pages, and a picture takes many."""
    path = write(tmp_path / "a.ogg")
    bare = audio(path.read_bytes())
    pages = path.read_bytes().count(b"OggS")
    tag_with_mutagen(path, "x" * 300_000)
    assert path.read_bytes().count(b"OggS") > pages
    assert audio(path.read_bytes()) == bare


def test_what_the_last_page_cuts_off_is_audio(tmp_path: Path) -> None:
    data = write(tmp_path / "a.ogg").read_bytes()
    at = data.rindex(b"OggS") + 6
    assert audio(data[:at] + struct.pack("<q", 1000) + data[at + 8 :]) != audio(data)


def test_two_songs_in_a_row_have_two_tags(tmp_path: Path) -> None:
    first, second = write(tmp_path / "0.ogg", 0), write(tmp_path / "1.ogg", 1)
    bare = audio(first.read_bytes() + second.read_bytes())
    for path in (first, second):
        tag_with_mutagen(path, "a title")
        assert audio(first.read_bytes() + second.read_bytes()) == bare


def test_an_ogg_stream_of_an_unknown_codec_is_audio_throughout(tmp_path: Path) -> None:
    data = write(tmp_path / "a.ogg").read_bytes()
    unknown = data.replace(b"\x01vorbis", b"\x01unknow", 1)
    at = data.index(b"\x03vorbis") + 8
    changed = unknown[:at] + bytes([unknown[at] ^ 1]) + unknown[at + 1 :]
    assert audio(changed) != audio(unknown)


def test_offsets_in_mp4_are_not_audio_but_the_codec_is(tmp_path: Path) -> None:
    data = write(tmp_path / "a.m4a").read_bytes()
    offsets, codec = data.index(b"stco") + 12, data.index(b"esds") + 8
    assert audio(data[:offsets] + b"\x7f" + data[offsets + 1 :]) == audio(data)
    assert audio(data[:codec] + b"\x7f" + data[codec + 1 :]) != audio(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no sound",
        b"fLaC",
        b"fLaC" + bytes(100),
        b"RIFF\x10\x00\x00\x00WAVE",
        b"RIFF\x10\x00\x00\x00WAVEfmt \xff\xff\xff\xff",
        b"\x00\x00\x00\x08moov" * 100,
        b"ID3\x04\x00\x00\x00\x00\x00\x06before" + b"TAG" + bytes(125),
    ],
)
def test_what_holds_no_audio_is_its_own_audio(data: bytes) -> None:
    assert audio(data) == whole(data)
    assert fingerprint(data).rest == whole(b"")


@pytest.mark.parametrize(
    "make",
    [
        lambda n: b"RIFF\0\0\0\0WAVE" + chunk(b"data", b"ab") + b"junk\0\0\0\0" * n,
        lambda n: b"\0\0\0\x0amdatab" + b"\0\0\0\x08free" * n,
        lambda n: b"\0\0\0\x0amdatab" + b"\0\0\0\x08moov" * n,
        lambda n: b"ID3\x04\0\0\0\0\0\0" * n,
        lambda n: b"caff\0\1\0\0data\0\0\0\0\0\0\0\2ab" + (b"free" + bytes(8)) * n,
        lambda n: b"fLaC" + b"\x01\0\0\0" * n,
        lambda n: b"".join(b"OggS\0\2" + bytes(8) + number.to_bytes(4, "big") + bytes(9) for number in range(n)),
    ],
)
def test_files_made_of_tiny_parts_take_bounded_work(make: Callable[[int], bytes]) -> None:
    class Counted(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1) -> bytes:
            self.reads += 1
            return super().read(size)

    data = make(3 * MAX_CHUNKS)
    file = Counted(data)
    spans = list(audio_spans(file, len(data)))
    assert file.reads < MAX_CHUNKS * 1.01
    assert spans[-1].end == len(data)  # what was not looked at counts as audio


def test_signs_of_life_come_even_from_pages_without_sound() -> None:
    data = (b"OggS\0\0" + bytes(21)) * 1000
    signs: list[None] = []
    Digest(io.BytesIO(data), len(data), False, lambda: signs.append(None)).finish()
    assert len(signs) > 1000


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The start of a file of each kind, tagged where mutagen can, with its end."""
    folder = tmp_path_factory.mktemp("examples")
    files = []
    for suffix in SUFFIXES:
        path = write(folder / f"a{suffix}")
        if suffix in (".wav", ".aiff", ".flac", ".ogg", ".opus", ".mp3", ".m4a"):
            tag_with_mutagen(path, "a title")
        data = path.read_bytes()
        files.append(data[:6_000] + data[-2_000:] + ape_tag(b"item") + b"TAG" + bytes(125))
    return files


LIES = st.sampled_from([b"\0" * 4, b"\xff" * 4, b"\0\0\0\1", b"\x7f" + b"\xff" * 7, b"\xff" * 8, b"\x80" + b"\0" * 7])


@given(st.data())
def test_whatever_a_file_claims_each_byte_is_hashed_once(examples: list[bytes], data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from(examples)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged) - 1) | st.integers(0, min(200, len(damaged) - 1)))
        lie = data.draw(LIES | st.binary(min_size=1, max_size=8))
        damaged[at : at + len(lie)] = lie
    content = bytes(damaged[: data.draw(st.integers(1, len(damaged)) | st.just(len(damaged)))])
    position = 0
    kept, left = b"", b""
    for start, end in audio_spans(io.BytesIO(content), len(content)):
        assert position <= start <= end <= len(content)
        left += content[position:start]
        kept += content[start:end]
        position = end
    left += content[position:]
    assert fingerprint(content) == Fingerprint(whole(kept), whole(left))
    assert kept


def test_a_damaged_file_has_a_fingerprint_or_a_known_error(tmp_path: Path, examples: list[bytes]) -> None:
    rng = np.random.default_rng(0)
    for number, example in enumerate(examples):
        data = bytearray(example)
        for at in rng.integers(0, len(data), 40):
            data[at] = rng.integers(256)
        path = tmp_path / f"a{SUFFIXES[number]}"
        path.write_bytes(data)
        assert isinstance(fingerprint_file(path), Fingerprint)
        try:
            *_, info = decode(path, DecodeOptions(48_000, 48_000))
        except KnownError:
            continue
        assert not isinstance(info, Block)
        assert info.fingerprint == fingerprint_file(path)
