"""Decoding gives the mono sound in blocks, whatever the file; a file that changes or holds no sound is refused."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from engine.errors import KnownError
from engine.media.decode import MAX_PEAKS, Block, DecodeOptions, SoundInfo, decode, fingerprint_file
from tests.sounds import (
    cut_short,
    noise,
    sweep,
    tone,
    write_ambisonic,
    write_header,
    write_not_finite,
    write_sound,
    write_sparse,
    write_text,
)
from tests.unprivileged import needs_permissions, open_folder, run_unprivileged

OPTIONS = DecodeOptions(sample_rate_hz=44_100, block_samples=10_000)


def decoded(path: Path, options: DecodeOptions = OPTIONS) -> tuple[NDArray[np.float32], SoundInfo]:
    *blocks, info = decode(path, options)
    assert isinstance(info, SoundInfo)
    waveforms = []
    for index, block in enumerate(blocks):
        assert isinstance(block, Block)
        assert block.index == index
        assert block.waveform.dtype == np.float32
        waveforms.append(block.waveform)
    assert all(len(waveform) == options.block_samples for waveform in waveforms[:-1])
    assert 1 <= len(waveforms[-1]) <= options.block_samples
    return np.concatenate(waveforms), info


def problem(path: Path) -> str:
    with pytest.raises(KnownError) as caught:
        list(decode(path, OPTIONS))
    assert str(path) in caught.value.detail
    assert caught.value.hint
    return caught.value.kind


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_blocks_join_to_the_resampled_sound(tmp_path: Path, rate: int) -> None:
    samples = sweep(12.0, rate, to_hz=3_000)
    waveform, info = decoded(write_sound(tmp_path / "a.wav", samples, rate, "FLOAT"))
    expected = soxr.resample(samples[:, 0], rate, 44_100)
    assert len(waveform) == len(expected) == 12 * 44_100
    np.testing.assert_allclose(waveform, expected, atol=1e-5)
    assert (info.duration_s, info.sample_rate_hz, info.channels) == (12.0, rate, 1)


@pytest.mark.parametrize("samples", [1, 9_999, 10_000, 10_001, 20_000])
def test_lengths_around_a_block(tmp_path: Path, samples: int) -> None:
    sound = noise(20_000 / 44_100)[:samples]
    path = write_sound(tmp_path / "a.wav", sound, subtype="FLOAT")
    if samples == 1:
        assert problem(path) == "sound_silent"
    else:
        np.testing.assert_array_equal(decoded(path)[0], sound[:, 0])


def test_a_block_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    sound = noise(30.0)
    path = write_sound(tmp_path / "a.wav", sound, subtype="FLOAT")
    np.testing.assert_array_equal(decoded(path, DecodeOptions(44_100, 10**6))[0], sound[:, 0])


@pytest.mark.parametrize("channels", [2, 3, 32])
def test_mono_is_the_mean_of_the_channels(tmp_path: Path, channels: int) -> None:
    sound = noise(0.5, channels=channels)
    waveform, info = decoded(write_sound(tmp_path / "a.wav", sound, subtype="FLOAT"))
    np.testing.assert_allclose(waveform, sound.mean(axis=1), atol=1e-6)
    assert info.channels == channels


def test_channels_in_opposition_do_not_cancel_out(tmp_path: Path) -> None:
    sound = tone(0.5)
    waveform, _ = decoded(write_sound(tmp_path / "a.wav", np.hstack([sound, -sound]), subtype="FLOAT"))
    np.testing.assert_array_equal(waveform, sound[:, 0])


def test_info_describes_the_file(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", noise(2.5, 48_000, 2), 48_000)
    _, info = decoded(path)
    data, status = path.read_bytes(), path.stat()
    assert info.fingerprint == fingerprint_file(path)
    assert (info.size, info.mtime_ns) == (len(data), status.st_mtime_ns)
    assert 200 < len(info.peaks) // 2 <= MAX_PEAKS
    assert np.abs(np.frombuffer(info.peaks, np.int8).astype(int)).max() == 127


def test_peaks_of_a_sound_of_unknown_length(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", noise(2.5))
    data = bytearray(path.read_bytes())
    data[21:26] = bytes([data[21] & 0xF0]) + bytes(4)
    path.write_bytes(data)
    _, info = decoded(path)
    assert info.duration_s == 2.5
    assert 200 <= len(info.peaks) // 2 <= MAX_PEAKS


def test_the_fingerprint_is_of_all_bytes_even_behind_the_sound(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(0.5))
    before = decoded(path)[1].fingerprint
    with path.open("ab") as file:
        file.write(b"LIST" + bytes(3_000_000))
    after = decoded(path)[1].fingerprint
    assert (after.audio, after.file) == (before.audio, None)
    assert after.rest != before.rest
    *_, info = decode(path, OPTIONS, by_file=True)
    assert isinstance(info, SoundInfo)
    assert info.fingerprint.file == hashlib.blake2b(path.read_bytes(), digest_size=16).digest()


def test_samples_that_are_no_numbers_become_silence(tmp_path: Path) -> None:
    sound = noise(0.5, channels=2)
    waveform, info = decoded(write_not_finite(tmp_path / "a.wav", sound))
    sound[100:104, 0] = 0
    np.testing.assert_allclose(waveform, sound.mean(axis=1), atol=1e-6)
    assert np.frombuffer(info.peaks, np.int8).any()


def test_loud_float_files_are_kept(tmp_path: Path) -> None:
    sound = noise(0.5, level=40_000.0)
    np.testing.assert_array_equal(decoded(write_sound(tmp_path / "a.wav", sound, subtype="FLOAT"))[0], sound[:, 0])


@pytest.mark.parametrize("level", [0.0, 0.25])
@pytest.mark.parametrize("samples", [1, 2, 300_000])
def test_silence_and_direct_current_are_silent(tmp_path: Path, level: float, samples: int) -> None:
    sound = np.full((samples, 2), level, np.float32)
    sound[:, 1] /= 2
    assert problem(write_sound(tmp_path / "a.wav", sound)) == "sound_silent"


def test_a_click_after_long_silence_is_a_sound(tmp_path: Path) -> None:
    sound = np.zeros((600_000, 1), np.float32)
    sound[599_999] = 0.5
    np.testing.assert_array_equal(decoded(write_sound(tmp_path / "a.wav", sound))[0], sound[:, 0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("level", [0.0, 0.25])
@pytest.mark.parametrize("spoilt", [slice(None), slice(150_000), slice(150_000, None)])
def test_nothing_but_silence_and_what_is_no_number_is_damaged(
    tmp_path: Path, bad: float, level: float, spoilt: slice
) -> None:
    sound = np.full((300_000, 2), level, np.float32)
    sound[:, 1] /= 2
    sound[spoilt] = bad
    assert problem(write_sound(tmp_path / "a.wav", sound, subtype="FLOAT")) == "sound_damaged"


def test_the_shortest_sounds_give_a_sample_at_least(tmp_path: Path) -> None:
    sound = np.array([[0.5], [0.25]], np.float32)
    waveform, info = decoded(write_sound(tmp_path / "a.wav", sound, 192_000, "FLOAT"))
    assert waveform.tolist() == [0.5]
    assert info.duration_s == 2 / 192_000


def test_bad_files_have_their_kinds(tmp_path: Path) -> None:
    (tmp_path / "zero.wav").touch()
    assert problem(tmp_path / "zero.wav") == "sound_empty"
    assert problem(write_header(tmp_path / "header.wav", 1000)) == "sound_empty"
    assert problem(write_text(tmp_path / "text.wav")) == "sound_unreadable"
    assert problem(tmp_path / "gone.wav") == "sound_vanished"
    with pytest.raises(KnownError) as caught:
        fingerprint_file(tmp_path / "gone.wav")
    assert caught.value.kind == "sound_vanished"


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".opus"])
def test_a_truncated_file_is_decoded_as_far_as_it_goes(tmp_path: Path, suffix: str) -> None:
    path = cut_short(write_sound(tmp_path / f"a{suffix}", noise(8.0, 48_000), 48_000), 0.5)
    waveform, info = decoded(path)
    assert info.duration_s == pytest.approx(4.0, abs=1.1)
    assert len(waveform) == pytest.approx(info.duration_s * 44_100, abs=1)
    assert info.fingerprint == fingerprint_file(path)


@pytest.mark.parametrize("suffix", [".wav", ".opus"])
def test_a_file_that_grows_meanwhile_is_refused(tmp_path: Path, suffix: str) -> None:
    path = write_sound(tmp_path / f"a{suffix}", noise(20.0, 48_000), 48_000)
    results = decode(path, OPTIONS)
    assert isinstance(next(results), Block)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(KnownError) as caught:
        list(results)
    assert caught.value.kind == "sound_changed"


def test_a_file_rewritten_meanwhile_is_refused_even_at_the_same_size(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(20.0))
    results = decode(path, OPTIONS)
    next(results)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    with pytest.raises(KnownError) as caught:
        list(results)
    assert caught.value.kind == "sound_changed"


@pytest.mark.skipif(os.name == "nt", reason="Windows does not delete open files")
def test_a_file_that_vanishes_meanwhile_is_refused(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(20.0))
    results = decode(path, OPTIONS)
    next(results)
    path.unlink()
    with pytest.raises(KnownError) as caught:
        list(results)
    assert caught.value.kind == "sound_vanished"


@needs_permissions
def test_no_permission() -> None:
    with open_folder() as folder:
        path = write_sound(folder / "a.wav", noise(0.1))
        path.chmod(0)
        imports = "from pathlib import Path\nfrom engine.media.decode import *\nfrom engine.errors import KnownError"
        code = (
            "for call in (fingerprint_file, lambda path: list(decode(path, DecodeOptions(44100, 44100)))):\n"
            "    try:\n        call(Path(sys.argv[1]))\n    except KnownError as error:\n        print(error.kind)"
        )
        assert run_unprivileged(imports, code, path) == ["sound_no_permission"] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that cannot be read")
def test_a_disk_error_has_its_kind() -> None:
    with pytest.raises(KnownError) as caught:
        fingerprint_file(Path("/proc/self/mem"))  # whose first page is never mapped: reading it is an I/O error
    assert caught.value.kind == "sound_io_error"
    assert "Input/output error" in caught.value.detail


def test_signs_of_life_come_often(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "a.wav", 120.0)
    signs: list[None] = []
    list(decode(path, DecodeOptions(44_100, 10**8), lambda: signs.append(None)))
    assert len(signs) > 24
    signs.clear()
    fingerprint_file(path, lambda: signs.append(None))
    assert len(signs) > 20


def test_an_abandoned_decode_leaves_no_file_open(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(20.0))
    results = decode(path, OPTIONS)
    next(results)
    del results  # an open file would warn, and a warning fails the test
    path.unlink()


def test_results_travel_between_processes(tmp_path: Path) -> None:
    for result in decode(write_sound(tmp_path / "a.wav", noise(0.1)), OPTIONS):
        copy = pickle.loads(pickle.dumps(result))
        if isinstance(result, Block):
            np.testing.assert_array_equal(copy.waveform, result.waveform)
        else:
            assert copy == result


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_three_hours_at_96_khz_take_little_memory(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "a.wav", 3 * 3600.0, 96_000)
    script = (
        "import sys\nfrom pathlib import Path\nfrom engine.media.decode import *\n"
        "for info in decode(Path(sys.argv[1]), DecodeOptions(44100, 60 * 44100)):\n    pass\n"
        "most = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
        "print(info.duration_s, len(info.peaks), most)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    duration_s, peaks, kilobytes = result.stdout.split()
    assert float(duration_s) == 3 * 3600
    assert 400 < int(peaks) <= 800
    assert int(kilobytes) < 150 * 1024


def test_of_an_ambisonic_field_w_is_heard(tmp_path: Path) -> None:
    field = noise(0.5, 44_100, 4)
    waveform, info = decoded(write_ambisonic(tmp_path / "field.amb", field, 44_100))
    np.testing.assert_allclose(waveform, field[:, 0], atol=1e-6)
    assert info.channels == 4
