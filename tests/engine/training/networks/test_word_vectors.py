"""Static word vectors: text files, folders, and their use as a text encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import KnownError
from engine.models.text import TextEncoder
from engine.training.networks.word_vectors import read_word_vectors, save_word_vectors

GLOVE = "dog 1 0 0.5\nRain -1 2 0\nrain 9 9 9\n"


@pytest.mark.parametrize("head", ["", "3 3\n"], ids=["glove", "word2vec"])
def test_both_text_formats(tmp_path: Path, head: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(head + GLOVE, encoding="utf-8")
    words, vectors = read_word_vectors(path)
    assert words == ["dog", "rain"]
    np.testing.assert_array_equal(vectors, np.array([[1, 0, 0.5], [-1, 2, 0]], np.float32))


@pytest.mark.parametrize("text", ["dog 1 2\nrain 1\n", "dog 1 x\n", "dog 1 nan\n", ""])
def test_what_is_no_word_vectors_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KnownError, match=r"vectors\.txt") as caught:
        read_word_vectors(path)
    assert caught.value.kind == "word_vectors_malformed"
    with pytest.raises(KnownError, match=r"none\.txt"):
        read_word_vectors(tmp_path / "none.txt")


def test_a_folder_serves_as_a_text_encoder(tmp_path: Path) -> None:
    vectors = np.array([[1, 0, 0.5], [-1, 2, 0]], np.float32)
    save_word_vectors(["dog", "rain"], vectors, tmp_path)
    encoder = TextEncoder.load(tmp_path)
    assert encoder.width == 3
    assert {"dog", "rain"} <= set(encoder.vocabulary)
    with torch.inference_mode():
        states, lengths = encoder(["Rain, rain, dog!", "zebra", "?!"])
    assert lengths.tolist() == [3, 1, 1]
    np.testing.assert_array_equal(states[0].numpy(), vectors[[1, 1, 0]])
    assert not states[1:].any()
    encoder.save(tmp_path / "again")
    again, _ = TextEncoder.load(tmp_path / "again")(["rain dog"])
    np.testing.assert_array_equal(again[0].detach().numpy(), vectors[[1, 0]])
