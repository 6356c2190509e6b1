"""Treatments of vectors after training, on vectors whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.training.research.studies import PROMPTS, Head, main, principal, side_by_side, studies, unit, whitener


def rows(count: int, width: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((count, width)))


def make_head(seed: int) -> Head:
    sounds = rows(20, 8, seed)
    return Head(sounds, [sounds[:5] for _ in PROMPTS], rows(300, 8, seed + 1), rows(300, 8, seed + 2))


def test_side_by_side_scores_are_the_mean_of_the_scores() -> None:
    sounds, queries = [rows(6, 8, 1), rows(6, 4, 2)], [rows(3, 8, 3), rows(3, 4, 4)]
    mean = np.mean([query @ sound.T for query, sound in zip(queries, sounds, strict=True)], axis=0)
    np.testing.assert_allclose(side_by_side(queries) @ side_by_side(sounds).T, mean, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(side_by_side(sounds), axis=1), 1.0, atol=1e-6)


def test_principal_components_keep_the_scores_of_what_lies_in_few_directions() -> None:
    few = unit(rows(50, 3) @ np.linalg.qr(np.random.default_rng(1).standard_normal((10, 3)))[0].T)
    narrow = few @ principal(few, 3)
    assert narrow.shape == (50, 3)
    np.testing.assert_allclose(narrow @ narrow.T, few @ few.T, atol=1e-5)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_whitening_evens_the_directions(strength: float) -> None:
    stretched = np.random.default_rng(0).standard_normal((5000, 4)).astype(np.float32) * [4.0, 2.0, 1.0, 0.5] + 3.0
    mean, transform = whitener(stretched.astype(np.float32), strength)
    spread = np.cov(((stretched - mean) @ transform).T)
    if strength:
        np.testing.assert_allclose(spread / spread[0, 0], np.eye(4), atol=1e-2)
    else:
        np.testing.assert_allclose(transform, np.eye(4), atol=1e-5)


def test_every_treatment_finds_a_sound_by_its_own_vector() -> None:
    found = studies([make_head(0), make_head(10)])
    assert len(found) == 6
    for name, (sounds, queries) in found.items():
        if "whitened" not in name:  # that centres sounds and captions apart
            assert (queries @ sounds.T).argmax(axis=1).tolist() == [0, 1, 2, 3, 4], name
    assert len(studies([make_head(0)])) == 4


def test_wrong_arguments_end_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["config.json"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "run" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"none\.json cannot be read"):
        main([str(tmp_path / "none.json"), str(tmp_path)])
