"""Every format is read whole and to the sample; whatever is wrong with a file has a name."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ErrorKind, KnownError
from engine.media.audio_file import AudioFile, open_audio
from engine.media.formats import SUPPORTED_SUFFIXES
from tests.sounds import (
    Samples,
    cut_short,
    damage,
    noise,
    sweep,
    tone,
    write_ambisonic,
    write_film,
    write_header,
    write_sound,
    write_text,
    write_with_ffmpeg,
    write_with_two_sounds,
)
from tests.unprivileged import needs_permissions, open_folder, run_unprivileged

RATE = 48_000
WRITTEN_BY_FFMPEG = {".m4a": "aac", ".m4b": "aac", ".mp4": "aac", ".3gp": "aac", ".mkv": "aac", ".aac": "aac"}
WRITTEN_BY_FFMPEG |= {".wv": "wavpack", ".tta": "tta", ".mov": "pcm_s16le", ".avi": "pcm_s16le", ".mka": "flac"}
WRITTEN_BY_FFMPEG |= {".ac3": "ac3", ".wma": "wmav2", ".webm": "libopus"}
LOSSLESS = (
    *(".wav", ".bwf", ".rf64", ".amb", ".w64", ".aif", ".aiff", ".aifc", ".caf", ".au", ".snd", ".voc", ".flac"),
    *(".wv", ".tta", ".mov", ".avi", ".mka"),
)
LOSSY = (".ogg", ".oga", ".opus", ".mp3", ".m4a", ".m4b", ".mp4", ".3gp", ".aac", ".ac3", ".wma", ".webm", ".mkv")
MDCT = frozenset(suffix for suffix, codec in WRITTEN_BY_FFMPEG.items() if codec in ("aac", "ac3", "wmav2"))
"""Codecs that fill their last frame; raw AAC and AC-3, and WMA, know no start of the sound either."""
WITHOUT_START = {".aac": 1024, ".ac3": 256}
BEGINS_LATE = {".wma": 2048}
"""FFmpeg gives nothing for the first frame."""


def write(path: Path, samples: Samples, sample_rate_hz: int = RATE) -> Path:
    if path.suffix in WRITTEN_BY_FFMPEG:
        sixteen_bits = {".wv": "s16p", ".tta": "s16"}.get(path.suffix)
        return write_with_ffmpeg(
            path, samples, WRITTEN_BY_FFMPEG[path.suffix], sample_rate_hz, sample_format=sixteen_bits
        )
    return write_sound(path, samples, sample_rate_hz)


def read_all(audio: AudioFile, frames: int = 10_000) -> Samples:
    parts = []
    while len(part := audio.read(frames)):
        parts.append(part)
    return np.concatenate(parts) if parts else np.empty((0, audio.channels), np.float32)


def read(path: Path, frames: int = 10_000) -> Samples:
    with open_audio(path) as audio:
        return read_all(audio, frames)


def problem(path: Path) -> str:
    with pytest.raises(KnownError) as caught, open_audio(path) as audio:
        read_all(audio)
    assert str(path) in caught.value.detail
    assert caught.value.hint
    return caught.value.kind


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_lossless_formats_give_the_very_samples(tmp_path: Path, suffix: str) -> None:
    samples = noise(0.5, RATE, channels=2)
    with open_audio(write(tmp_path / f"sound{suffix}", samples)) as audio:
        assert (audio.sample_rate_hz, audio.channels) == (RATE, 2)
        if suffix not in (".avi", ".mka"):  # which tell the length in other units, or not at all
            assert (audio.frames, audio.duration_s) == (len(samples), 0.5)
        assert not audio.ambisonic
        read = read_all(audio)
    assert read.dtype == np.float32
    assert read.flags.c_contiguous
    np.testing.assert_allclose(read, samples, atol=2**-15)


@pytest.mark.parametrize("suffix", LOSSY)
def test_lossy_formats_give_the_sound_in_its_place(tmp_path: Path, suffix: str) -> None:
    samples = sweep(2.0, RATE, channels=2)
    with open_audio(write(tmp_path / f"sound{suffix}", samples)) as audio:
        assert (audio.sample_rate_hz, audio.channels) == (RATE, 2)
        read = read_all(audio)
    samples = samples[BEGINS_LATE.get(suffix, 0) :]
    assert 0 <= len(read) - len(samples) <= (2 * 2048 if suffix in MDCT else 0)
    first = WITHOUT_START.get(suffix, 0)
    kept = read[first : first + len(samples)]
    error = kept - samples[: len(kept)]
    assert np.sqrt(np.mean(error[5000:-5000] ** 2)) < 0.1 * np.sqrt(np.mean(samples**2))


def test_all_suffixes_are_covered() -> None:
    assert frozenset({*LOSSLESS, *LOSSY, ".wave"}) == SUPPORTED_SUFFIXES


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_sample_formats(tmp_path: Path, subtype: str) -> None:
    samples = noise(0.1, RATE)
    np.testing.assert_allclose(read(write_sound(tmp_path / "a.wav", samples, RATE, subtype)), samples, atol=2**-6)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (11_025, 2), (192_000, 2), (48_000, 32), (384_000, 1)])
def test_rates_and_channels(tmp_path: Path, rate: int, channels: int) -> None:
    samples = noise(0.05, rate, channels)
    with open_audio(write_sound(tmp_path / "a.wav", samples, rate)) as audio:
        assert (audio.sample_rate_hz, audio.channels) == (rate, channels)
        np.testing.assert_allclose(read_all(audio), samples, atol=2**-15)


@pytest.mark.parametrize("suffix", [*LOSSLESS, *LOSSY])
def test_small_reads_join_to_what_one_read_gives(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"sound{suffix}", sweep(2.0, RATE, channels=2))
    np.testing.assert_allclose(read(path, 777), read(path, 10**6), atol=1e-6)


def test_read_gives_fewer_frames_only_at_the_end(tmp_path: Path) -> None:
    for suffix in (".wav", ".ogg", ".mp3", ".opus"):
        with open_audio(write(tmp_path / f"sound{suffix}", sweep(1.0, RATE))) as audio:
            lengths = [len(audio.read(7_000)) for _ in range(9)]
        assert lengths == [7_000] * 6 + [6_000, 0, 0]


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".flac", ".ogg", ".opus", ".mp3", ".m4a"])
def test_seek_goes_to_the_very_sample(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"sound{suffix}", sweep(8.0, RATE, channels=2))
    whole = read(path)
    with open_audio(path) as audio:
        for time_s in [5.0, 0.0, 0.01, 0.4999, 0.6, *np.random.default_rng(0).uniform(0, 7.9, 20), 7.99]:
            audio.seek(time_s)
            start = round(time_s * RATE)
            np.testing.assert_allclose(audio.read(4_000), whole[start : start + 4_000], atol=2e-3)


def test_seek_beyond_the_end_reads_nothing_and_back_again_all(tmp_path: Path) -> None:
    for suffix in (".wav", ".flac", ".ogg", ".mp3", ".opus"):
        path = write(tmp_path / f"sound{suffix}", sweep(1.0, RATE))
        with open_audio(path) as audio:
            audio.seek(100.0)
            assert len(audio.read(100)) == 0
            audio.seek(-1.0)
            again, whole = read_all(audio), read(path)
            assert len(again) >= len(whole) - (128 if suffix == ".ogg" else 0)  # FFmpeg drops a last short block
            np.testing.assert_allclose(again, whole[: len(again)], atol=1e-6)


@pytest.mark.parametrize("duration_s", [1 / 48_000, 0.001, 0.01, 0.02, 0.1])
def test_very_short_opus(tmp_path: Path, duration_s: float) -> None:
    samples = noise(duration_s, RATE)
    assert len(read(write_with_ffmpeg(tmp_path / "a.opus", samples, "libopus", RATE))) == len(samples)


def test_opus_starts_where_it_starts(tmp_path: Path) -> None:
    """libsndfile skips too little or too much where all of the sound lies in one page."""
    samples = np.concatenate([np.zeros((4_800, 1), np.float32), tone(0.25, RATE), np.zeros((4_800, 1), np.float32)])
    for path in (
        write_sound(tmp_path / "a.opus", samples, RATE),
        write_with_ffmpeg(tmp_path / "b.opus", samples, "libopus", RATE, {"page_duration": "1000000"}),
        write_with_ffmpeg(tmp_path / "c.ogg", samples, "libopus", RATE, {"page_duration": "1000000"}),
    ):
        sound = read(path)
        assert len(sound) == len(samples)
        loud = np.flatnonzero(np.abs(sound[:, 0]) > 0.25)
        assert abs(int(loud[0]) - 4_840) < 100
        assert abs(int(loud[-1]) - (4_800 + 12_000)) < 100


def test_mp3_of_variable_rate_without_a_header_is_read_to_its_end(tmp_path: Path) -> None:
    samples = np.concatenate([tone(3.0, 44_100), noise(3.0, 44_100), tone(4.0, 44_100, level=0.0)])
    path = write_with_ffmpeg(tmp_path / "a.mp3", samples, "libmp3lame", options={"write_xing": "0", "q": "4"})
    assert len(read(path)) == pytest.approx(len(samples), abs=3 * 1152)


@pytest.mark.parametrize("channels", [4, 9, 16])
@pytest.mark.parametrize("name", ["field.wav", "field.amb"])
@pytest.mark.parametrize("as_floats", [True, False])
def test_ambisonic_fields_are_read_and_known(tmp_path: Path, channels: int, name: str, as_floats: bool) -> None:
    samples = noise(0.2, RATE, channels)
    with open_audio(write_ambisonic(tmp_path / name, samples, RATE, as_floats)) as audio:
        assert (audio.channels, audio.frames, audio.ambisonic) == (channels, len(samples), True)
        np.testing.assert_allclose(read_all(audio), samples, atol=2**-14)


def test_the_sound_of_a_film_is_read(tmp_path: Path) -> None:
    samples = sweep(1.0, RATE)
    path = write_film(tmp_path / "film.mp4", samples, RATE)
    with open_audio(path) as audio:
        heard = read_all(audio)[: len(samples)]
    assert np.sqrt(np.mean((heard - samples)[5000:-5000] ** 2)) < 0.1 * np.sqrt(np.mean(samples**2))
    assert problem(write_film(tmp_path / "silent film.mp4", None, RATE)) == "sound_empty"


def test_of_several_sounds_the_default_is_read(tmp_path: Path) -> None:
    default = noise(0.5, RATE, seed=1)
    path = write_with_two_sounds(tmp_path / "film.mkv", noise(0.5, RATE, seed=2), default, RATE)
    np.testing.assert_allclose(read(path), default, atol=2**-14)


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    samples = noise(0.2, RATE)
    wave = write_sound(tmp_path / "a.wav", samples, RATE)
    for name in ("wave.mp3", "wave.opus", "wave.flac", "wave.m4a", "wave", "wave.raw"):
        other = wave.rename(tmp_path / name)
        np.testing.assert_allclose(read(other), samples, atol=2**-15)
        wave = other.rename(wave)
    assert len(read(write_sound(tmp_path / "b.opus", samples, RATE).rename(tmp_path / "opus.wav"))) == len(samples)


@pytest.mark.parametrize("name", ["ä ö.wav", "雨の音 🌧️.wav", "Kicked 'n' \"scratched\" $HOME;.wav", "concat:a|b.opus"])
def test_any_unicode_name(tmp_path: Path, name: str) -> None:
    if os.name == "nt" and set(name) & set('":|'):
        pytest.skip("Windows forbids this name")
    for form in ("NFC", "NFD"):
        path = tmp_path / unicodedata.normalize(form, name)
        assert len(read(write(path, noise(0.1, RATE)))) == 4_800
        path.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode here")
@pytest.mark.parametrize("suffix", [".wav", ".opus"])
def test_name_that_is_not_unicode(tmp_path: Path, suffix: str) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe" + os.fsencode(suffix)))
    assert len(read(write(tmp_path / f"a{suffix}", noise(0.1, RATE)).rename(path))) == 4_800


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".w64", ".rf64", ".flac", ".ogg", ".opus", ".mp3", ".aac"])
def test_half_a_file_gives_about_half_its_sound(tmp_path: Path, suffix: str) -> None:
    path = cut_short(write(tmp_path / f"sound{suffix}", noise(10.0, RATE)), 0.5)
    assert 0.35 * 10 * RATE < len(read(path, 5 * RATE)) < 0.65 * 10 * RATE


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".opus", ".mp3", ".aac"])
def test_damage_in_the_middle_costs_little(tmp_path: Path, suffix: str) -> None:
    samples = noise(10.0, RATE)
    sound = read(damage(write(tmp_path / f"sound{suffix}", samples)), 5 * RATE)
    assert len(sound) > 0.75 * len(samples)  # Opus loses pages of a second
    if suffix == ".flac":
        np.testing.assert_allclose(sound[:100_000], samples[:100_000], atol=2**-15)


def test_damage_ends_the_sound_where_no_reader_goes_on_and_seeking_back_plays_it_again(tmp_path: Path) -> None:
    path = cut_short(write_sound(tmp_path / "a.flac", noise(10.0, RATE), RATE), 0.5)
    with open_audio(path) as audio:
        first = read_all(audio)
        assert len(audio.read(100)) == 0
        audio.seek(0.0)
        np.testing.assert_array_equal(read_all(audio)[:100_000], first[:100_000])


def test_empty_files(tmp_path: Path) -> None:
    (tmp_path / "zero.wav").touch()
    assert problem(tmp_path / "zero.wav") == "sound_empty"
    assert problem(write_header(tmp_path / "header.wav", 0)) == "sound_empty"
    assert problem(write_sound(tmp_path / "none.flac", noise(0.0, RATE), RATE)) == "sound_empty"


def test_truncated_before_the_first_sample(tmp_path: Path) -> None:
    flac = write_sound(tmp_path / "a.flac", noise(1.0, RATE), RATE)
    flac.write_bytes(flac.read_bytes()[:300])
    assert problem(flac) == "sound_truncated"
    aiff = write_sound(tmp_path / "a.aiff", noise(1.0, RATE), RATE)
    aiff.write_bytes(aiff.read_bytes()[:44])
    assert problem(aiff) == "sound_truncated"


@pytest.mark.parametrize("suffix", sorted(SUPPORTED_SUFFIXES))
def test_what_is_no_sound(tmp_path: Path, suffix: str) -> None:
    assert problem(write_text(tmp_path / f"text{suffix}")) == "sound_unreadable"
    garbage = tmp_path / f"garbage{suffix}"
    garbage.write_bytes(np.random.default_rng(1).bytes(50_000))
    assert problem(garbage) == "sound_unreadable"
    garbage.write_bytes(bytes(50_000))
    assert problem(garbage) == "sound_unreadable"


def test_header_cut_in_two(tmp_path: Path) -> None:
    path = write_header(tmp_path / "a.wav", 1000)
    for keep in (1, 4, 12, 20, 35):
        path.write_bytes(path.read_bytes()[:keep] if keep < 35 else write_header(path, 1000).read_bytes()[:keep])
        assert problem(path) == "sound_unreadable"


def test_lengths_that_the_header_leaves_open(tmp_path: Path) -> None:
    samples = noise(3.0, RATE)
    flac = bytearray(write_sound(tmp_path / "a.flac", samples, RATE).read_bytes())
    flac[21:26] = bytes([flac[21] & 0xF0]) + bytes(4)  # the 36 bits of STREAMINFO that count samples (RFC 9639, 8.2)
    (tmp_path / "a.flac").write_bytes(flac)
    with open_audio(tmp_path / "a.flac") as audio:
        assert (audio.frames, audio.duration_s) == (None, None)
        assert len(read_all(audio)) == len(samples)
        audio.seek(1.0)
        np.testing.assert_allclose(audio.read(100), samples[RATE : RATE + 100], atol=2**-15)
    wave = write_header(tmp_path / "a.wav", 0, RATE).read_bytes() + (samples * 32_767).astype("<i2").tobytes()
    for size in (bytes(4), b"\xff" * 4):
        (tmp_path / "a.wav").write_bytes(wave[:40] + size + wave[44:])
        assert len(read(tmp_path / "a.wav")) == len(samples)


def test_absurd_sample_rate(tmp_path: Path) -> None:
    path = write_header(tmp_path / "a.wav", 20_000, sample_rate_hz=2)
    path.write_bytes(path.read_bytes() + np.random.default_rng(0).bytes(20_000))
    assert problem(path) == "sound_unreadable"


def test_a_codec_that_no_decoder_knows(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.wav", noise(0.1))
    content = bytearray(path.read_bytes())
    assert content[20:22] == b"\x01\x00"  # the format tag of PCM
    content[20:22] = b"\x77\x77"
    path.write_bytes(content)
    assert problem(path) == "sound_unreadable"


def test_a_playlist_named_wav_opens_nothing_else(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "other.wav", noise(1.0, RATE), RATE)
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\n{sound.as_uri()}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {sound.name}\n",
    ):
        path = tmp_path / "list.m4a"
        path.write_text(text, encoding="utf-8")
        assert problem(path) == "sound_unreadable"


def test_vanished(tmp_path: Path) -> None:
    assert problem(tmp_path / "gone.wav") == "sound_vanished"
    (tmp_path / "file").touch()
    if os.name != "nt":
        assert problem(tmp_path / "file" / "a.wav") == "sound_vanished"


def test_a_folder_named_like_a_sound(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    assert problem(tmp_path / "folder.wav") == "sound_unreadable"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    kinds: list[str] = []
    thread = threading.Thread(target=lambda: kinds.append(problem(tmp_path / "pipe.wav")), daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert kinds == ["sound_unreadable"]


@needs_permissions
@pytest.mark.parametrize("suffix", [".wav", ".opus"])
def test_no_permission(suffix: str) -> None:
    with open_folder() as folder:
        path = write(folder / f"a{suffix}", noise(0.1, RATE))
        path.chmod(0)
        imports = "import av\nfrom pathlib import Path\nfrom engine.media.audio_file import open_audio, KnownError"
        code = "try:\n    open_audio(Path(sys.argv[1]))\nexcept KnownError as error:\n    print(error.kind)"
        assert run_unprivileged(imports, code, path) == ["sound_no_permission"]
        path.chmod(0o644)
        assert run_unprivileged(imports, code, path) == []


def test_closing_twice_is_harmless_and_nothing_stays_open(tmp_path: Path) -> None:
    for suffix in (".wav", ".opus"):
        path = write(tmp_path / f"a{suffix}", noise(0.1, RATE))
        audio = open_audio(path)
        audio.close()
        audio.close()
        if sys.platform == "linux":
            assert str(path) not in {
                str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()
            }
        path.unlink()  # which Windows refuses while it is open


def test_known_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(KnownError(ErrorKind.SOUND_VANISHED, "detail", "hint")))
    assert (type(error), error.kind, error.detail, error.hint) == (KnownError, "sound_vanished", "detail", "hint")
