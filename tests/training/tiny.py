"""Encoders small enough for tests: a random CNN and a random BERT saved as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import save_file

from engine.encoders.cnn10 import AISFX_CNN10, Cnn, CnnConfig

WORDS = "a the dog cat rain wind bark barks barking falls and while followed by of sound meow thunder".split()

TINY_CNN = CnnConfig(96, (4, 4, 8, 8), AISFX_CNN10.pools, "max", False)


def tiny_cnn(seed: int = 0) -> Cnn:
    """A narrow CNN of the aiSFX layout with random weights."""
    torch.manual_seed(seed)
    return Cnn(TINY_CNN).eval()


def text_folder(folder: Path) -> Path:
    """A random 16-d BERT with a word tokenizer, in the layout of a Hugging Face model folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=64,
        )
    )
    model.save_pretrained(folder)
    return folder


def cnn_file(path: Path) -> Path:
    """Random weights of a whole CNN10 of the aiSFX layout, without counters, as converted checkpoints are."""
    torch.manual_seed(0)
    state = Cnn(AISFX_CNN10).state_dict()
    save_file({name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}, path)
    return path


def tone(path: Path, frequency_hz: float, seconds: float, sample_rate_hz: int = 44_100) -> Path:
    """A sine tone as a sound file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(int(seconds * sample_rate_hz)) / sample_rate_hz
    soundfile.write(path, (0.5 * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32), sample_rate_hz)
    return path
