"""Packs for tests: a complete one with tiny random models, which makes no sense, and one without any."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel

from engine.models.cnn import Cnn, CnnConfig
from engine.models.frontend import FrontendConfig
from engine.models.packs import FILES, Pack, describe_files
from engine.models.tied_layers import TiedConfig, TiedLayers
from engine.training.export import PackParts, build_pack

FRONTEND = FrontendConfig(8_000, 256, 128, 16, 0.0, 4_000.0, "htk", "l1", "log_10000", "constant", True)
CNN = CnnConfig(16, (4, 8, 8, 12), ((2, 2), (2, 2), (2, 2), (1, 1)), "max", False)
TIED = TiedConfig(audio_dim=12, text_dim=16, dim=8, layers=1, heads=2, feedforward=16)
WORDS = ("[PAD]", "[UNK]", "a", "dog", "barking", "rain", "glass", "breaking", "bell", "door")


def make_text_folder(folder: Path) -> Path:
    """A two-layer BERT of width 16 with a ten-word vocabulary, as Hugging Face keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    model = BertModel(config, add_pooling_layer=False)
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors")
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def make_pack(folder: Path, pack_id: str = "tiny", seed: int = 0) -> Pack:
    """Build the pack in ``folder / pack_id``; another seed gives other weights and so another hash."""
    torch.manual_seed(seed)
    cnn, tied = Cnn(CNN), TiedLayers(TIED)
    with torch.no_grad():  # so that different sounds get clearly different vectors
        for value in cnn.parameters():
            if value.dim() == 4:
                value.normal_(0.0, 1.7 / value[0].numel() ** 0.5)
        tied.audio_projection.bias.zero_()
    parts = PackParts(
        pack_id=pack_id,
        frontend=FRONTEND,
        cnn=CNN,
        cnn_weights=cnn.state_dict(),
        tied=TIED,
        tied_weights=tied.state_dict(),
        text_folder=make_text_folder(folder / "text_source"),
        about={"name": "Tiny", "licence": "CC0"},
        max_tokens=32,
    )
    return build_pack(parts, folder / pack_id)


def write_pack(folder: Path, **changes: object) -> Path:
    """A pack of no models, for what reads its manifest and hashes only; ``changes`` replace fields of the manifest."""
    (folder / "text").mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(b"weights")
    manifest = {
        "format": 1,
        "id": folder.name,
        "audio": {"frontend": {"sample_rate_hz": 8000, "hop": 100}, "cnn": {"pools": [[2, 2], [2, 2], [1, 1]]}},
        "tied_layers": {"dim": 8},
        "segments": {"length_s": 10.0, "hop_s": 5.0},
        "files": describe_files(folder),
        **changes,
    }
    (folder / "pack.json").write_text(json.dumps(manifest))
    return folder
