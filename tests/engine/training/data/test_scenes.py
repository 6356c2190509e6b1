"""Scenes of one or two sounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.training.data.audio_cache import AudioCache
from engine.training.data.scenes import SceneOptions, Scenes
from tests.engine.training.tiny import tone


@pytest.fixture
def cache(tmp_path: Path) -> AudioCache:
    names = [tone(tmp_path / f"{hz}.wav", hz, 0.5, 8000).name for hz in (200, 800, 2000)]
    return AudioCache.build(tmp_path / "cache", [tmp_path / name for name in names], 8000)


def test_scenes_are_the_same_each_time_and_not_alike(cache: AudioCache) -> None:
    options = SceneOptions(count=12, longest_s=0.4)
    one, two = (Scenes(cache, np.ones(3), options) for _ in range(2))
    assert one.recipes == two.recipes
    assert one.identity == two.identity
    for index in range(12):
        np.testing.assert_array_equal(one.load(index, 8000), two.load(index, 8000))
    other = Scenes(cache, np.ones(3), SceneOptions(count=12, longest_s=0.4, seed=1))
    assert other.identity != one.identity
    assert other.recipes != one.recipes


def test_kinds_follow_their_chances(cache: AudioCache) -> None:
    recipes = Scenes(cache, np.ones(3), SceneOptions(count=2000, alone=0.3, in_turn=0.2)).recipes
    assert sum(recipe.second is None for recipe in recipes) / 2000 == pytest.approx(0.3, abs=0.04)
    assert sum(recipe.in_turn for recipe in recipes) / 2000 == pytest.approx(0.2, abs=0.04)
    assert not any(recipe.in_turn and recipe.second is None for recipe in recipes)


def test_sounds_are_drawn_by_weight(cache: AudioCache) -> None:
    recipes = Scenes(cache, np.array([0.0, 1.0, 0.0]), SceneOptions(count=50)).recipes
    assert {recipe.first for recipe in recipes} == {1}


def test_a_scene_is_normalised_short_enough_and_resampled(cache: AudioCache) -> None:
    scenes = Scenes(cache, np.ones(3), SceneOptions(count=20, longest_s=0.4))
    for index in range(20):
        scene = scenes.load(index, 8000)
        assert scene.dtype == np.float32
        assert np.abs(scene).max() == pytest.approx(1.0, abs=1e-3)
        assert 0 < len(scene) <= (0.4 + 0.5) * 8000 + 1
        assert len(scenes.load(index, 16_000)) == pytest.approx(2 * len(scene), abs=4)
