"""Captions -> token states, by any Hugging Face encoder kept in a local folder."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.errors import KnownError


class TextEncoder(nn.Module):
    """A transformer encoder and its tokenizer (``Encoder_T`` of Koh & Chng 2022).

    Args:
        model: A Hugging Face encoder whose output has ``last_hidden_state``.
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
        from tokenizers import Tokenizer
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # what is missing is checked below
        try:
            model, report = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
            _require_all_weights(report)
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises bare Exception
            raise KnownError(
                "pack_broken", f"The text encoder in {folder} cannot be loaded: {error}", "Install the pack again."
            ) from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(min(max_tokens, getattr(model.config, "max_position_embeddings", max_tokens)))
        return cls(model.eval(), tokenizer, max_tokens)

    @property
    def width(self) -> int:
        """Width of a token state."""
        return int(self.model.config.hidden_size)  # type: ignore[union-attr, arg-type]

    def forward(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Captions -> token states (batch, tokens, width), valid tokens (batch,)."""
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch(list(captions))]  # type: ignore[attr-defined]
        lengths = torch.tensor([len(row) for row in tokens])
        longest = int(lengths.max())
        device = next(self.model.parameters()).device
        ids = torch.zeros(len(tokens), longest, dtype=torch.long)
        for row, values in zip(ids, tokens, strict=True):
            row[: len(values)] = torch.tensor(values)
        mask = torch.arange(longest) < lengths[:, None]
        output = self.model(input_ids=ids.to(device), attention_mask=mask.to(device))
        return output.last_hidden_state, lengths.to(device)


def _require_all_weights(report: dict[str, Collection[object]]) -> None:
    """Every weight must come from the file, but for the pooler's, which nothing here uses."""
    missing = [str(name) for name in report["missing_keys"] if not str(name).startswith("pooler.")]
    wrong = [*missing, *map(str, report["mismatched_keys"])]
    if wrong:
        raise ValueError(f"weights missing or of the wrong shape: {', '.join(sorted(wrong)[:3])}")
