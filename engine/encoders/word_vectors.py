"""Static word vectors (word2vec, GloVe) in the layout of a Hugging Face folder, so that they serve as a text encoder.

The folder holds ``config.json`` with ``"model_type": "word_vectors"``, ``model.safetensors`` and a word-level
``tokenizer.json``. Token 0 is every word without a vector; its vector is zero.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.errors import KnownError

UNKNOWN = "[UNK]"


@dataclass(frozen=True)
class WordVectorsConfig:
    """Size of the table: words, the unknown one included, and the width of a vector."""

    vocab_size: int
    hidden_size: int
    model_type: str = "word_vectors"

    def to_dict(self) -> dict[str, object]:
        """The fields by name."""
        return asdict(self)


@dataclass(frozen=True)
class States:
    """What a Hugging Face encoder's output is read for."""

    last_hidden_state: Tensor


class WordVectors(nn.Module):
    """A vector a word, whatever stands around it; called like a Hugging Face encoder."""

    def __init__(self, config: WordVectorsConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)

    @classmethod
    def load(cls, folder: Path) -> WordVectors:
        """Read a folder; OSError, TypeError, KeyError or RuntimeError when it is not such a one."""
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        model = cls(WordVectorsConfig(int(values["vocab_size"]), int(values["hidden_size"])))
        model.load_state_dict({name: value.float() for name, value in load_file(folder / "model.safetensors").items()})
        return model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> States:
        """Token numbers (batch, tokens) -> states (batch, tokens, width), zero where the mask is."""
        return States(self.embedding(input_ids) * attention_mask[..., None])


def is_word_vectors(folder: Path) -> bool:
    """Whether the folder says that it holds word vectors."""
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return isinstance(values, dict) and values.get("model_type") == "word_vectors"


def save_word_vectors(words: Sequence[str], vectors: NDArray[np.float32], folder: Path) -> None:
    """Write words and their vectors (words, width) as a folder for ``engine.encoders.text.TextEncoder``."""
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
        raise KnownError("config_missing", f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    except ValueError as error:
        raise KnownError(
            "word_vectors_malformed",
            f"{path} is not a text file of word vectors: {error}.",
            "Give a file with a word and its numbers on each line, in UTF-8.",
        ) from error
    return list(found), np.stack(list(found.values()))
