"""Captions -> token states, by any Hugging Face encoder, or word vectors, kept in a local folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from engine.errors import ErrorKind, KnownError
from engine.models.word_vectors import WordVectors, is_word_vectors
from engine.unusable import UnusableError, describe

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)


class TextEncoder(nn.Module):
    """An encoder and its tokenizer (``Encoder_T`` of Koh & Chng 2022).

    Args:
        model: A Hugging Face encoder, or anything called like one whose output has ``last_hidden_state``.
        tokenizer: A ``tokenizers.Tokenizer``.
        max_tokens: Longer captions are cut here.
    """

    def __init__(self, model: nn.Module, tokenizer: object, max_tokens: int) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens

    @classmethod
    def load(cls, folder: Path, max_tokens: int = 64) -> TextEncoder:
        """Read ``config.json``, ``model.safetensors`` and ``tokenizer.json``; nothing is ever downloaded.

        Weights stored in fp16 are computed in fp32.

        Raises:
            KnownError: ``pack_broken`` when a file is missing or the weights do not fit the configuration.
        """
        try:
            model = WordVectors.load(folder) if is_word_vectors(folder) else _read_model(folder)
            tokenizer = _read_tokenizer(folder / "tokenizer.json")
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
            log.warning("The text encoder in %s cannot be loaded", folder, exc_info=True)
            raise KnownError(
                ErrorKind.PACK_BROKEN,
                f"The text encoder in {folder} cannot be loaded: {_why(error)}.",
                "Install the pack again.",
            ) from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(min(max_tokens, _positions(model, max_tokens)))
        return cls(model.eval(), tokenizer, max_tokens)

    @property
    def width(self) -> int:
        """Width of a token state."""
        return int(self.model.config.hidden_size)  # type: ignore[union-attr, arg-type]

    @property
    def vocabulary(self) -> list[str]:
        """Its tokens, without the marks of a word's start."""
        return [token.lstrip("Ġ▁") for token in self.tokenizer.get_vocab()]  # type: ignore[attr-defined]

    def tokens(self, captions: Sequence[str]) -> list[list[int]]:
        """Token numbers of each caption, at least one."""
        encoded = self.tokenizer.encode_batch(list(captions))  # type: ignore[attr-defined]
        return [encoding.ids or [0] for encoding in encoded]

    def states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Token numbers (batch, tokens), of which so many are valid (batch,) -> token states (batch, tokens, width)."""
        device = next(self.model.parameters()).device
        mask = torch.arange(ids.shape[1], device=lengths.device) < lengths[:, None]
        output = self.model(input_ids=ids.to(device), attention_mask=mask.to(device))
        states: Tensor = output.last_hidden_state
        return states

    def forward(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Captions -> token states (batch, tokens, width), valid tokens (batch,)."""
        rows = [torch.tensor(row) for row in self.tokens(captions)]
        lengths = torch.tensor([len(row) for row in rows])
        states = self.states(pad_sequence(rows, batch_first=True), lengths)
        return states, lengths.to(states.device)

    def save(self, folder: Path) -> None:
        """Write what :meth:`load` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        config = self.model.config.to_dict()  # type: ignore[union-attr, operator]
        (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
        weights = {name: value.detach().contiguous() for name, value in self.model.state_dict().items()}
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        self.tokenizer.save(str(folder / "tokenizer.json"))  # type: ignore[attr-defined]


def _positions(model: nn.Module, unlimited: int) -> int:
    """How many tokens the encoder has positions for, ``unlimited`` where it has none.

    RoBERTa and its kin number positions from after the padding token's number, and tell it to their table of positions.
    """
    count = getattr(model.config, "max_position_embeddings", unlimited)
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return int(count) if padding is None else int(count) - (int(padding) + 1)


def _why(error: Exception) -> str:
    return (str(error) if isinstance(error, SafetensorError) else describe(error)).rstrip(".")


def _read_model(folder: Path) -> nn.Module:
    from transformers import AutoModel
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # what is missing is checked below
    try:
        model, report = AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # the report has them
        )
    except MemoryError:
        raise
    except Exception as error:  # the files are foreign, and every architecture has its own ways to fail on them
        said = (
            f"“{error.args[0]}” is unknown to it"
            if isinstance(error, KeyError)
            else str(error).strip().partition("\n")[0]
        )
        raise UnusableError(f"Transformers cannot load it: {said}".rstrip(".: ")) from error
    _require_all_weights(report)
    return model  # type: ignore[no-any-return]


def _read_tokenizer(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # of no class of its own
        raise UnusableError(f"{path.name}: {error}") from error


def _require_all_weights(report: dict[str, Collection[Any]]) -> None:
    """Every weight must come from the file, but for the pooler's, which nothing here uses."""
    missing = [str(name) for name in report["missing_keys"] if not str(name).startswith("pooler.")]
    wrong = [*missing, *(str(name) for name, *_ in report["mismatched_keys"])]
    if wrong:
        raise UnusableError(f"weights missing or of the wrong shape: {', '.join(sorted(wrong)[:3])}")
