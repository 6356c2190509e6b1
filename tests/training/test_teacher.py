"""What a teacher makes of sounds, kept like the encoders' features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.training import teacher
from engine.training.features import Files
from tests.training import teacher as fake
from tests.training.tiny import tone

RATE_HZ = 8_000


class Listening(fake.Teacher):
    """Notes what it hears."""

    heard: list[NDArray[np.float32]]

    def run(self, names: list[str], inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        type(self).heard.append(inputs["waveform"])
        return super().run(names, inputs)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Listening.heard = []
    fake.install(monkeypatch, Listening)
    path = tmp_path / "teacher.onnx"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def sounds(tmp_path: Path) -> Files:
    return Files([tone(tmp_path / f"{index}.wav", 440, seconds) for index, seconds in enumerate((0.1, 1.0))])


def test_sounds_reach_it_at_their_full_scale_and_half_a_second_long_at_least(model: Path, sounds: Files) -> None:
    logits = teacher.tag_logits(sounds, model, RATE_HZ, model.parent / "cache")
    assert [waveform.shape for waveform in Listening.heard] == [(1, RATE_HZ // 2), (1, RATE_HZ)]
    assert [float(np.abs(waveform).max()) for waveform in Listening.heard] == pytest.approx([1.0, 1.0])
    for row, waveform in zip(logits, Listening.heard, strict=True):
        (chances,) = fake.Teacher().run(["probabilities"], {"waveform": waveform})
        sure = np.clip(chances[0], 1e-7, 1 - 1e-7)
        np.testing.assert_allclose(row, np.log(sure / (1 - sure)), rtol=2e-3)


def test_frames_are_kept_as_they_are(model: Path, sounds: Files) -> None:
    frames = teacher.frames(sounds, model, RATE_HZ, model.parent / "cache")
    assert (frames.lengths.tolist(), frames.width) == ([fake.FRAMES] * 2, fake.WIDTH)
    for index, waveform in enumerate(Listening.heard):
        (expected,) = fake.Teacher().run(["frames"], {"waveform": waveform})
        np.testing.assert_allclose(frames.row(index), expected[0], atol=1e-3)


def test_it_is_asked_once_until_it_or_the_sounds_change(model: Path, sounds: Files, tmp_path: Path) -> None:
    cache = model.parent / "cache"
    for _ in range(2):
        teacher.frames(sounds, model, RATE_HZ, cache)
        teacher.tag_logits(sounds, model, RATE_HZ, cache)
    assert len(Listening.heard) == 4
    model.write_bytes(b"other weights")
    teacher.frames(sounds, model, RATE_HZ, cache)
    assert len(Listening.heard) == 6
    teacher.frames(sounds, model, RATE_HZ // 2, cache)
    assert len(Listening.heard) == 8
    teacher.frames(Files([tone(tmp_path / "2.wav", 440, 0.5)]), model, RATE_HZ, cache)
    assert len(Listening.heard) == 9
