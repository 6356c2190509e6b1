"""What the training's tests begin with: small encoders, published layouts with random weights, features, tones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from engine.models.cnn import AISFX_CNN10, PANNS_CNN10, Cnn, CnnConfig

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


def panns_state() -> dict[str, Tensor]:
    """The exact keys and shapes of ``Cnn10_mAP=0.380.pth``."""
    torch.manual_seed(1)
    return {
        **Cnn(PANNS_CNN10).state_dict(),
        "spectrogram_extractor.stft.conv_real.weight": torch.randn(513, 1, 1024),
        "spectrogram_extractor.stft.conv_imag.weight": torch.randn(513, 1, 1024),
        "logmel_extractor.melW": torch.randn(513, 64),
        "fc1.weight": torch.randn(512, 512),
        "fc1.bias": torch.randn(512),
        "fc_audioset.weight": torch.randn(527, 512),
        "fc_audioset.bias": torch.randn(527),
    }


class Memory:
    """Features in memory."""

    def __init__(self, rows: Sequence[NDArray[np.float32]]) -> None:
        self.rows = rows
        self.lengths: NDArray[np.int64] = np.array([len(row) for row in rows], dtype=np.int64)
        self.width = rows[0].shape[1]

    def batch(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        lengths = self.lengths[indices]
        batch = np.zeros((len(indices), int(lengths.max()), self.width), np.float32)
        for target, index in zip(batch, indices, strict=True):
            target[: len(self.rows[index])] = self.rows[index]
        return torch.from_numpy(batch), torch.from_numpy(lengths)
