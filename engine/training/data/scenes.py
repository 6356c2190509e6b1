"""Scenes made of one or two sounds: what captions such as "a dog barks while rain falls" describe."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from engine.training.data import augment
from engine.training.data.audio_cache import AudioCache

Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class SceneOptions:
    """How scenes are made. ``alone`` and ``in_turn`` are chances; the rest of the scenes are heard together."""

    count: int = 6000
    alone: float = 0.35
    in_turn: float = 0.2
    longest_s: float = 4.0
    gain_db: float = 8.0
    seed: int = 0


@dataclass(frozen=True)
class Recipe:
    """Which sounds a scene is made of; ``second`` is None when there is one, changed in speed and colour."""

    first: int
    second: int | None
    in_turn: bool


class Scenes:
    """Random scenes over cached sounds, made when asked for, always the same for the same options.

    Args:
        cache: The sounds.
        weights: How likely each sound is to be drawn, of shape (sounds,).
        options: How scenes are made.
    """

    def __init__(self, cache: AudioCache, weights: NDArray[np.float64], options: SceneOptions) -> None:
        self._cache = cache
        self._options = options
        self.identity: object = ["scenes", cache.files, weights.round(9).tolist(), asdict(options)]
        rng = np.random.default_rng((options.seed, 0))
        drawn = rng.choice(len(cache), size=(options.count, 2), p=weights / weights.sum())
        kinds = rng.random(options.count)
        self.recipes = [
            Recipe(
                int(first),
                None if kind < options.alone else int(second),
                bool(options.alone <= kind < options.alone + options.in_turn),
            )
            for (first, second), kind in zip(drawn, kinds, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.recipes)

    def load(self, index: int, sample_rate_hz: int) -> Waveform:
        """Scene ``index`` as peak-normalised mono float32 (samples,)."""
        rate = self._cache.sample_rate_hz
        rng = np.random.default_rng((self._options.seed, 1, index))
        recipe = self.recipes[index]
        longest = int(self._options.longest_s * rate)
        if recipe.second is None:
            scene = self._sound(recipe.first, longest, rng)
        elif recipe.in_turn:
            gap = np.zeros(int(rng.uniform(0.05, 0.5) * rate), dtype=np.float32)
            scene = np.concatenate(
                [self._sound(recipe.first, longest // 2, rng), gap, self._sound(recipe.second, longest // 2, rng)]
            )
        else:
            first, second = self._sound(recipe.first, longest, rng), self._sound(recipe.second, longest, rng)
            samples = max(len(first), len(second))
            gain = 10.0 ** (rng.uniform(-self._options.gain_db, self._options.gain_db) / 20.0)
            scene = augment.place(first, samples, rng) + np.float32(gain) * augment.place(second, samples, rng)
        if rng.random() < 0.4:
            scene = augment.colour(scene, rate, rng)
        scene = (scene / max(augment.peak(scene), 1e-6)).astype(np.float32)
        return scene if rate == sample_rate_hz else np.asarray(soxr.resample(scene, rate, sample_rate_hz, quality="MQ"))

    def _sound(self, index: int, longest: int, rng: np.random.Generator) -> Waveform:
        rate = self._cache.sample_rate_hz
        sound = self._cache.waveform(index)
        if rng.random() < 0.6:
            sound = soxr.resample(sound, rate * rng.uniform(0.8, 1.25), rate, quality="LQ")
        if len(sound) > longest:
            start = int(rng.integers(0, len(sound) - longest + 1))
            sound = sound[start : start + longest]
        return np.asarray(sound / max(augment.peak(sound), 1e-6), dtype=np.float32)
