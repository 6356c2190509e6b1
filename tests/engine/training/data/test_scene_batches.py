"""Random scenes in batches: what comes out is as long as asked for, finite, and the same for the same seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.models.encoder import best_device
from engine.training.data import scene_batches
from engine.training.data.audio_cache import AudioCache
from engine.training.data.scene_batches import SceneBatches, _Drawing, normalise, rate_divisor, resample

RATE = 8_000
SAMPLES = 4_000
FULL = 32_767
Sound = Sequence[int] | NDArray[np.float64]


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _batches(sounds: Sequence[Sound], length_power: float = 0.0, device: str = "cpu") -> SceneBatches:
    """Scenes over sounds of these samples, up to 32,767."""
    values = [np.asarray(sound).round().astype(np.int16) for sound in sounds]
    Path("audio.i16").write_bytes(b"".join(value.tobytes() for value in values))
    offsets = [0, *np.cumsum([len(value) for value in values]).tolist()]
    index = {"sample_rate_hz": RATE, "files": [str(number) for number in range(len(values))], "offsets": offsets}
    Path("index.json").write_text(json.dumps(index), encoding="utf-8")
    return SceneBatches(AudioCache(Path()), length_power, device)


def _tone(length: int, frequency_hz: float = 500.0) -> NDArray[np.float64]:
    return FULL * np.sin(2 * np.pi * frequency_hz * np.arange(length) / RATE)


EVERY_KIND: list[Sound] = [_tone(9_000), _tone(700, 200.0), [FULL], np.zeros(3_000), []]
"""What a library holds: long, short, of one sample, silent and empty sounds."""


def _let(monkeypatch: pytest.MonkeyPatch, *happening: str, speeds: tuple[float, float] | None = (1.0, 1.0)) -> None:
    """Let nothing happen to scenes, or to every one of them what is named."""
    steps = ("second", "third", "colour", *(["reverb"] if "colour" in happening else []), "noise")
    turns = cycle(name in happening for name in steps)
    monkeypatch.setattr(_Drawing, "_chosen", lambda _, count, chance: torch.arange(count if next(turns) else 0))
    monkeypatch.setattr(scene_batches, "BACKWARDS_CHANCE", float("backwards" in happening))
    if speeds is not None:
        monkeypatch.setattr(scene_batches, "SPEEDS", speeds)


def _spectra(scenes: Tensor) -> NDArray[np.float64]:
    return np.abs(np.fft.rfft(scenes.double().numpy()))


def _level(scenes: Tensor, frequency_hz: float) -> NDArray[np.float64]:
    """How strong a frequency is in each scene."""
    at = round(frequency_hz * scenes.shape[1] / RATE)
    return _spectra(scenes)[:, at]


def _strongest_hz(scenes: Tensor) -> NDArray[np.float64]:
    strongest = _spectra(scenes).argmax(axis=1) * (RATE / scenes.shape[1])
    return np.asarray(strongest, dtype=np.float64)


@pytest.mark.parametrize("batch", [1, 24])
@pytest.mark.parametrize("seed", range(6))
def test_scenes_of_any_sounds_have_their_length_and_finite_samples_up_to_one(batch: int, seed: int) -> None:
    made = _batches(EVERY_KIND).draw(batch, SAMPLES, seed)
    assert (made.shape, made.dtype) == ((batch, SAMPLES), torch.float32)
    assert made.isfinite().all()
    peaks = made.abs().amax(dim=1)
    assert ((peaks - 1.0).abs().le(1e-6) | peaks.eq(0.0)).all()


def test_the_same_seed_makes_the_same_scenes() -> None:
    batches = _batches(EVERY_KIND[:2])
    first, again, other = batches.draw(8, SAMPLES, 1), batches.draw(8, SAMPLES, 1), batches.draw(8, SAMPLES, 2)
    assert first.equal(again)
    assert not any(one.equal(two) for one, two in zip(first, other, strict=True))
    assert not any(one.equal(two) for one, two in zip(first[1:], first, strict=False))


@pytest.mark.skipif(best_device() == "cpu", reason="no GPU here")
def test_a_gpu_gets_scenes_as_well() -> None:
    batches = _batches(EVERY_KIND, 0.5, best_device())
    made = batches.draw(24, SAMPLES, 0)
    assert (made.device.type, made.shape, made.dtype) == (best_device(), (24, SAMPLES), torch.float32)
    assert made.isfinite().all()
    assert made.equal(batches.draw(24, SAMPLES, 0))


def test_a_long_sound_is_cropped_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    _let(monkeypatch)
    sound = np.arange(1.0, 10_001.0)
    made = _batches([sound]).draw(200, SAMPLES, 0).double().numpy()
    starts = (3_999 * made[:, 0] / (1.0 - made[:, 0])).round().astype(int) - 1
    for scene, start in zip(made, starts, strict=True):
        wanted = sound[start : start + SAMPLES]
        np.testing.assert_allclose(scene, wanted / wanted[-1], rtol=1e-6)
    assert starts.min() < 300
    assert starts.max() > 5_700
    assert len(set(starts)) > 150


def test_a_sound_as_long_as_the_scene_is_heard_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    _let(monkeypatch)
    sound = np.random.default_rng(0).uniform(-FULL, FULL, SAMPLES).round()
    for scene in _batches([sound]).draw(8, SAMPLES, 0):
        np.testing.assert_allclose(scene.numpy(), sound / np.abs(sound).max(), rtol=1e-6)


def test_a_short_sound_stands_once_or_again_after_even_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    _let(monkeypatch)
    counts, first = [], []
    for scene in _batches([[FULL] * 10]).draw(200, SAMPLES, 0).numpy():
        assert set(np.unique(scene)) == {0.0, 1.0}
        starts = np.flatnonzero(np.diff(scene, prepend=0.0) > 0)
        ends = np.flatnonzero(np.diff(scene, append=0.0) < 0) + 1
        assert set((ends - starts)[:-1]) <= {10}
        assert len(set(np.diff(starts))) <= 1
        assert starts[0] + 10 <= SAMPLES
        counts.append(len(starts))
        first.append(starts[0])
    assert 80 < counts.count(1) < 180
    assert max(counts) > 4
    assert min(first) < 200
    assert max(first) > SAMPLES - 200


def test_a_further_sound_comes_at_a_random_level(monkeypatch: pytest.MonkeyPatch) -> None:
    _let(monkeypatch, "second")
    drawn = cycle([0, 1, 0])
    monkeypatch.setattr(SceneBatches, "numbers", lambda _, uniform: torch.full((len(uniform),), next(drawn)))
    made = _batches([0.4 * _tone(SAMPLES, 500.0), 0.1 * _tone(SAMPLES, 2_000.0)]).draw(200, SAMPLES, 0)
    first, second = _level(made, 500.0), _level(made, 2_000.0)
    levels_db = 20.0 * np.log10(second / first)
    assert -18.01 <= levels_db.min() < -16.0
    assert 4.0 < levels_db.max() <= 6.01
    np.testing.assert_allclose(_spectra(made).sum(axis=1), first + second, rtol=1e-2)


def test_some_scenes_get_a_second_sound_and_some_a_third(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    draw = SceneBatches.numbers

    def numbers(batches: SceneBatches, uniform: Tensor) -> Tensor:
        heard.append(len(uniform))
        return draw(batches, uniform)

    monkeypatch.setattr(SceneBatches, "numbers", numbers)
    _batches(EVERY_KIND).draw(1_000, 16, 0)
    assert heard == [1_000, pytest.approx(550, abs=50), pytest.approx(250, abs=45)]


def test_half_of_the_sounds_have_another_speed_and_all_octaves_are_as_likely(monkeypatch: pytest.MonkeyPatch) -> None:
    _let(monkeypatch, speeds=None)
    pitches = _strongest_hz(_batches([_tone(2 * SAMPLES)]).draw(1_000, SAMPLES, 0))
    moved = pitches[pitches != 500.0]
    assert 400 < len(moved) < 600
    assert 500.0 * 0.6 - 2 <= moved.min() < 310.0
    assert 820.0 < moved.max() <= 500.0 * 1.7 + 2
    octaves = np.linspace(np.log2(0.6), np.log2(1.7), 5)[1:4]
    assert np.quantile(np.log2(moved / 500.0), [0.25, 0.5, 0.75]) == pytest.approx(octaves, abs=0.1)


@pytest.mark.parametrize("speeds", [(1.0, 1.0), (0.5, 0.5)], ids=["as-it-is", "slow"])
@pytest.mark.parametrize("length", [10, SAMPLES // 2, 10_000], ids=["again-after-gaps", "whole", "cropped"])
def test_a_sound_backwards_is_the_reversed_sound(
    monkeypatch: pytest.MonkeyPatch, length: int, speeds: tuple[float, float]
) -> None:
    """Whatever else is drawn, to the last bit: at half the speed, too, it stands on whole or half samples."""
    sound = np.random.default_rng(0).uniform(-FULL, FULL, length).round()
    _let(monkeypatch, "backwards", speeds=speeds)
    backwards = _batches([sound]).draw(50, SAMPLES, 0)
    _let(monkeypatch, speeds=speeds)
    assert backwards.equal(_batches([sound[::-1]]).draw(50, SAMPLES, 0))


def test_one_sound_in_ten_is_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    backwards: list[bool] = []
    heard = SceneBatches.sounds

    def sounds(batches: SceneBatches, numbers: Tensor, positions: Tensor) -> Tensor:
        backwards.extend((positions[:, 1] < positions[:, 0]).tolist())
        return heard(batches, numbers, positions)

    monkeypatch.setattr(SceneBatches, "sounds", sounds)
    _batches([_tone(9_000)]).draw(1_000, 16, 0)
    assert np.mean(backwards) == pytest.approx(0.1, abs=0.025)


def test_noise_is_added_at_no_more_than_a_twentieth(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = _batches([_tone(SAMPLES)])
    _let(monkeypatch)
    quiet = batches.draw(100, SAMPLES, 0)
    _let(monkeypatch, "noise")
    noisy = batches.draw(100, SAMPLES, 0)
    added = noisy - quiet * ((noisy * quiet).sum(dim=1) / quiet.square().sum(dim=1))[:, None]
    levels = added.std(dim=1)
    assert 0.9e-4 < levels.min() < 2e-4
    assert 0.03 < levels.max() < 0.052


def test_an_equaliser_keeps_pitches_and_changes_their_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    _let(monkeypatch, "colour")
    made = _batches([0.5 * (_tone(SAMPLES, 100.0) + _tone(SAMPLES, 2_000.0))]).draw(100, SAMPLES, 0)
    low, high = _level(made, 100.0), _level(made, 2_000.0)
    levels_db = 20.0 * np.log10(high / low)
    assert 5.0 < levels_db.std() < 12.0
    share = (low**2 + high**2) / np.square(_spectra(made)).sum(axis=1)
    assert share.min() > 0.98


def test_some_coloured_scenes_lose_their_treble(monkeypatch: pytest.MonkeyPatch) -> None:
    """As old recordings do. An equaliser alone does not take so much away."""
    _let(monkeypatch, "colour")
    made = _batches([0.5 * (_tone(SAMPLES, 1_500.0) + _tone(SAMPLES, 3_900.0))]).draw(400, SAMPLES, 0)
    lost = _level(made, 3_900.0) < 0.05 * _level(made, 1_500.0)
    assert 0.01 < lost.mean() < 0.08


def test_a_reverb_rings_on_after_the_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    click = np.zeros(SAMPLES)
    click[1_000] = FULL
    batches = _batches([click])
    _let(monkeypatch, "colour")
    dry = batches.draw(50, SAMPLES, 0)
    _let(monkeypatch, "colour", "reverb")
    wet = batches.draw(50, SAMPLES, 0)
    before, later = slice(0, 500), slice(1_300, 1_500)
    ringing = wet[:, later].abs().amax(dim=1) / dry[:, later].abs().amax(dim=1)
    assert (ringing > 10.0).double().mean() > 0.8
    assert wet[:, before].abs().max() < 0.01


def test_silence_stays_silence() -> None:
    batches = _batches([np.zeros(3_000), np.zeros(9_000)])
    for seed in range(5):
        assert not batches.draw(32, SAMPLES, seed).any()


@pytest.mark.parametrize(
    ("power", "shares"), [(0.0, [0.5, 0.5, 0.0]), (0.5, [1 / 3, 2 / 3, 0.0]), (1.0, [0.2, 0.8, 0.0])]
)
def test_longer_sounds_are_heard_more_often(power: float, shares: list[float]) -> None:
    batches = _batches([[1] * 100, [2] * 400], power)
    drawn = batches.numbers(torch.linspace(0.0, 1.0, 3_001, dtype=torch.float64))
    assert (drawn.bincount(minlength=3) / 3_001).tolist() == pytest.approx(shares, abs=1e-3)
    assert batches.length(torch.tensor([1, 0])).tolist() == [400, 100]


def test_sounds_between_samples_are_interpolated_and_silent_outside() -> None:
    batches = _batches([[-8_192, 16_384], [8_192, 16_384, -16_384, 4_096], [32_767]])
    positions = torch.tensor([-1.0, -0.25, 0.0, 0.25, 1.5, 2.75, 3.0, 3.25, 9.0], dtype=torch.float64)
    found = batches.sounds(torch.tensor([1, 2, 0]), positions.repeat(3, 1))
    assert found.dtype == torch.float32
    assert found.tolist() == [
        [0.0, 0.0, 0.25, 0.3125, 0.0, -0.03125, 0.125, 0.0, 0.0],
        [0.0, 0.0, 32_767 / 32_768, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, -0.25, -0.0625, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44_100, 32_000), (32_000, 44_100), (48_000, 8_000), (8_000, 8_000)])
def test_resampled_is_what_soxr_makes_of_it(from_hz: int, to_hz: int) -> None:
    samples = rate_divisor(from_hz, to_hz) * (from_hz // 2 // rate_divisor(from_hz, to_hz))
    at = np.arange(samples) / from_hz
    rng = np.random.default_rng(0)
    hertz, phases = rng.uniform(30.0, 0.42 * min(from_hz, to_hz), (2, 20)), rng.uniform(0.0, 6.3, (2, 20))
    waveforms = 0.1 * np.sin(2 * np.pi * hertz[:, :, None] * at + phases[:, :, None]).sum(axis=1)
    found = resample(torch.from_numpy(waveforms.astype(np.float32)), from_hz, to_hz).numpy()
    assert found.shape == (2, samples * to_hz // from_hz)
    for row, waveform in zip(found, waveforms, strict=True):
        expected = soxr.resample(waveform, from_hz, to_hz, quality="VHQ")
        middle = slice(len(row) // 4, -len(row) // 4)
        np.testing.assert_allclose(row[middle], expected[: len(row)][middle], atol=2e-3)


def test_grains() -> None:
    assert (
        rate_divisor(44_100, 32_000),
        rate_divisor(32_000, 44_100),
        rate_divisor(8_000, 8_000),
        rate_divisor(48_000, 8_000),
    ) == (441, 320, 1, 6)


def test_full_scale_is_a_peak_of_one_but_for_silence() -> None:
    found = normalise(torch.tensor([[0.0, 0.25, -0.5], [3.0, 0.0, 1.5], [0.0, 0.0, 0.0]]))
    assert found.tolist() == [[0.0, 0.5, -1.0], [1.0, 0.0, 0.5], [0.0, 0.0, 0.0]]
