"""Stand-ins for encoders that would have to be fetched: the published kinds and shapes with weights made here.

Written once, always alike. A row of figures that rests on one of them says so.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from engine.models.cnn import PANNS_CNN10, PANNS_CNN14, Cnn, CnnConfig
from engine.models.text import TextEncoder
from engine.training.networks.word_vectors import save_word_vectors

TINY = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 512,
    "max_position_embeddings": 130,
    "pad_token_id": 0,
}
"""The shape of BERT-tiny (Turc et al. 2019)."""


def make_stand_ins(folder: Path, text: Path) -> None:
    """Write those that are not in ``folder`` yet.

    ``bert-tiny`` and ``roberta-tiny``: random weights in the shape of BERT-tiny, with the tokenizer of the Hugging Face
    folder ``text``. ``words``: the whole words of that encoder's own embedding table, as static word vectors.
    ``cnn10-random.safetensors`` and ``cnn14-random.safetensors``: PANNs' shapes with random weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "words" / "tokenizer.json").exists():
        _write_words(TextEncoder.load(text), folder / "words")
    for kind in ("bert", "roberta"):
        if not (folder / f"{kind}-tiny" / "tokenizer.json").exists():
            _write_tiny(kind, text, folder / f"{kind}-tiny")
    for name, config in (("cnn10", PANNS_CNN10), ("cnn14", PANNS_CNN14)):
        path = folder / f"{name}-random.safetensors"
        if not path.exists():
            _write_cnn(config, path)


def _write_words(encoder: TextEncoder, folder: Path) -> None:
    table = encoder.model.get_input_embeddings().weight.detach().numpy()  # type: ignore[operator]
    numbers = encoder.tokenizer.get_vocab()  # type: ignore[attr-defined]
    words = sorted(word for word in numbers if re.fullmatch(r"[a-z]+", word))
    save_word_vectors(words, np.ascontiguousarray(table[[numbers[word] for word in words]]), folder)


def _write_tiny(kind: str, text: Path, folder: Path) -> None:
    from transformers import AutoConfig, AutoModel

    size = json.loads((text / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModel.from_config(  # type: ignore[no-untyped-call]
            AutoConfig.for_model(kind, vocab_size=size, **TINY)
        )
    model.save_pretrained(folder)
    shutil.copyfile(text / "tokenizer.json", folder / "tokenizer.json")


def _write_cnn(config: CnnConfig, path: Path) -> None:
    """Weights drawn to keep the scale of what runs through them (He et al. 2015)."""
    cnn = Cnn(config)
    generator = torch.Generator().manual_seed(0)
    for module in cnn.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
    save_file(cnn.state_dict(), path)
