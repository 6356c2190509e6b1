"""Evaluation through the app's own encoder and ranking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import KnownError
from engine.indexing.embed_files import embed_file, embed_files
from engine.models.encoder import Encoder
from engine.training.data.tables import RetrievalSet
from engine.training.measure import evaluate
from engine.training.measure.metrics import retrieval_metrics
from tests.engine.training.tiny import tone
from tests.tiny_pack import make_pack


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return Encoder.load(make_pack(tmp_path_factory.mktemp("packs")), "cpu")


def test_a_file_counts_by_its_best_segment() -> None:
    text = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    segments = [np.array([[0.1, 0.9], [0.8, 0.0]], np.float32), np.array([[0.5, 0.5]], np.float32)]
    np.testing.assert_allclose(evaluate.file_scores(text, segments), np.array([[0.8, 0.5], [0.9, 0.5]]))


def test_caption_vectors_keep_their_order(encoder: Encoder) -> None:
    captions = ["a dog barking", "rain", "bell bell bell bell"] * 30
    found = evaluate.caption_vectors(captions, encoder)
    alone = np.concatenate([encoder.text_vectors([caption]) for caption in captions[:3]])
    np.testing.assert_allclose(found, np.tile(alone, (30, 1)), atol=1e-5)


def test_metrics_are_those_of_the_vectors_that_the_app_indexes(encoder: Encoder, tmp_path: Path) -> None:
    files = [
        tone(tmp_path / f"{index}.wav", 200 * (index + 1), seconds, 8000) for index, seconds in enumerate((1, 12, 1, 2))
    ]
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    wanted = RetrievalSet.of_pairs(
        [("rain", files[0]), ("rain", files[3]), ("bell", files[1]), ("door", files[2]), ("glass", broken)],
        [tmp_path / "gone.wav"],
    )
    steps: list[tuple[int, int]] = []
    found = evaluate.evaluate(wanted, encoder, lambda *step: steps.append(step))
    assert steps[-1] == (5, 5)
    assert found.missing == (tmp_path / "gone.wav",)
    assert [path for path, _ in found.failed] == [broken]
    order = [files[0], files[3], files[1], files[2]]
    text = encoder.text_vectors(["rain", "bell", "door"])
    vectors = [embed_file(path, encoder.pack, lambda: encoder).segments.vectors for path in order]
    scores = np.stack([(each @ text.T).max(axis=0) for each in vectors], axis=1)
    relevant = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=np.bool_)
    expected = retrieval_metrics(scores, relevant)
    assert found.metrics.as_dict() == pytest.approx(expected.as_dict())


def test_nothing_to_evaluate(encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(KnownError, match=r"None of the 1 sounds.*gone\.wav") as caught:
        evaluate.evaluate(RetrievalSet.of_pairs([("rain", tmp_path / "gone.wav")]), encoder)
    assert caught.value.kind == "data_missing"


def test_many_files_of_odd_lengths_all_come_back(encoder: Encoder, tmp_path: Path) -> None:
    files = [tone(tmp_path / f"{index}.wav", 300, 0.1 + 0.037 * index, 11_025) for index in range(12)]
    found = dict(embed_files(files, encoder.pack, lambda: encoder, workers=1))
    assert sorted(found) == list(range(12))
    embedded = [each for each in found.values() if not isinstance(each, KnownError)]
    assert [each.segments.vectors.shape for each in embedded] == [(1, 8)] * 12
    assert len({each.fingerprint.audio for each in embedded}) == 12
