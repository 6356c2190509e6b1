"""Word vectors (word2vec, GloVe) as they are published -> a folder that serves as a text encoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from engine.errors import ErrorKind, KnownError
from engine.models.word_vectors import WordVectorsConfig

UNKNOWN = "[UNK]"


def save_word_vectors(words: Sequence[str], vectors: NDArray[np.float32], folder: Path) -> None:
    """Write words and their vectors (words, width) as a folder for ``engine.models.text.TextEncoder``."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    numbers = {UNKNOWN: 0, **{word: number for number, word in enumerate(words, 1)}}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("removed")]
    )
    config = WordVectorsConfig(len(words) + 1, vectors.shape[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.to_dict(), indent=2), encoding="utf-8")
    table = torch.from_numpy(np.concatenate([np.zeros((1, vectors.shape[1]), np.float32), vectors]))
    save_file({"embedding.weight": table}, folder / "model.safetensors")
    tokenizer.save(str(folder / "tokenizer.json"))


def read_word_vectors(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Words and vectors (words, width) from a text file as word2vec and GloVe write it: a word and its numbers a line.

    word2vec's first line, the sizes, is passed over. Words are lower-cased; the first of equal ones counts.

    Raises:
        KnownError: ``word_vectors_malformed``, naming the line; ``config_missing`` when the file cannot be read.
    """
    found: dict[str, NDArray[np.float32]] = {}
    width = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                word, *numbers = line.rstrip().split(" ")
                if not word or (number == 1 and len(numbers) == 1):
                    continue
                vector = np.array(numbers, dtype=np.float32)
                width = width or len(vector)
                if len(vector) != width or not np.isfinite(vector).all():
                    raise ValueError(f"line {number} has no {width} numbers")
                found.setdefault(word.lower(), vector)
        if not found or width == 0:
            raise ValueError("it names no word")
    except OSError as error:
        raise KnownError(
            ErrorKind.CONFIG_MISSING, f"{path} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    except ValueError as error:
        raise KnownError(
            ErrorKind.WORD_VECTORS_MALFORMED,
            f"{path} is not a text file of word vectors: {error}.",
            "Give a file with a word and its numbers on each line, in UTF-8.",
        ) from error
    return list(found), np.stack(list(found.values()))
