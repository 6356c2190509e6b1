"""Static word vectors (word2vec, GloVe) in the layout of a Hugging Face folder, so that they serve as a text encoder.

The folder holds ``config.json`` with ``"model_type": "word_vectors"``, ``model.safetensors`` and a word-level
``tokenizer.json``. Token 0 is every word without a vector; its vector is zero. A pack can hold such a folder;
``engine.training.networks.word_vectors`` writes it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

from engine.models.weights import describe_misfit
from engine.unusable import UnusableError, describe


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
        """Read a folder; ValueError, TypeError, KeyError, OSError or RuntimeError when it is not such a one."""
        values = _config_in(folder)
        model = cls(WordVectorsConfig(values["vocab_size"], values["hidden_size"]))
        weights = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
        wrong = describe_misfit(model.state_dict(), weights)
        if wrong:
            raise UnusableError(f"its weights do not fit config.json ({wrong})")
        model.load_state_dict(weights)
        return model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> States:
        """Token numbers (batch, tokens) -> states (batch, tokens, width), zero where the mask is."""
        return States(self.embedding(input_ids) * attention_mask[..., None])


def is_word_vectors(folder: Path) -> bool:
    """Whether the folder says that it holds word vectors."""
    values = _config_in(folder)
    return isinstance(values, dict) and values.get("model_type") == "word_vectors"


def _config_in(folder: Path) -> Any:
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnusableError(f"config.json: {describe(error)}") from error
