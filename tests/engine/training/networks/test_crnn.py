"""The CRNN of the DCASE 2022 baseline against an independent computation."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import correlate2d

from engine.training.networks.crnn import Crnn, CrnnConfig

Array = NDArray[np.float64]
CONFIG = CrnnConfig(n_mels=64, width=6)


def _random_crnn() -> Crnn:
    torch.manual_seed(0)
    crnn = Crnn(CONFIG).eval()
    for name, value in crnn.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2.0)
        elif name.endswith(("running_mean", "norms.0.bias")):
            value.normal_(0.0, 0.3)
    return crnn


def _reference_cnn(crnn: Crnn, log_mel: Array) -> Array:
    """Batch norm, convolution, leaky ReLU and power-mean pooling straight from the baseline's description."""
    weights = {name: value.double().numpy() for name, value in crnn.state_dict().items()}
    x = log_mel[None]
    for index, size in enumerate([(2, 4), None, (2, 4), None, (1, 4)]):
        scale = weights[f"norms.{index}.weight"] / np.sqrt(weights[f"norms.{index}.running_var"] + 1e-5)
        shift = weights[f"norms.{index}.bias"] - weights[f"norms.{index}.running_mean"] * scale
        x = x * scale[:, None, None] + shift[:, None, None]
        kernels = weights[f"convolutions.{index}.weight"]
        x = np.array(
            [sum(correlate2d(c, k, mode="same") for c, k in zip(x, kernel, strict=True)) for kernel in kernels]
        )
        x = np.where(x > 0.0, x, 0.1 * x)
        if size is not None:
            frames, bands = x.shape[1] // size[0], x.shape[2] // size[1]
            tiles = x[:, : frames * size[0], : bands * size[1]].reshape(len(x), frames, size[0], bands, size[1])
            x = (tiles**4).sum(axis=(2, 4)) ** 0.25
    result: Array = x.transpose(1, 0, 2).reshape(x.shape[1], -1)
    return result


def test_forward_equals_independent_computation() -> None:
    crnn = _random_crnn()
    log_mel = np.random.default_rng(1).standard_normal((13, 64))
    with torch.inference_mode():
        frames, lengths = crnn(torch.from_numpy(log_mel).float()[None], torch.tensor([13]))
        expected = crnn.recurrent(torch.from_numpy(_reference_cnn(crnn, log_mel)).float()[None])[0]
    assert lengths.tolist() == [13 // CONFIG.time_stride]
    assert frames.shape == (1, 3, CONFIG.width)
    torch.testing.assert_close(frames, expected, atol=1e-4, rtol=1e-4)


def test_padded_batch_equals_single_runs() -> None:
    crnn = _random_crnn()
    lengths = torch.tensor([21, 4, 14])
    log_mel = torch.randn(3, 21, 64)
    with torch.inference_mode():
        batch, valid = crnn(log_mel, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone, frames = crnn(log_mel[row : row + 1, :length], torch.tensor([length]))
            assert frames[0] == valid[row]
            torch.testing.assert_close(batch[row, : frames[0]], alone[0], atol=1e-4, rtol=1e-4)


def test_silence_has_finite_gradients() -> None:
    crnn = Crnn(CONFIG)
    frames, _ = crnn(torch.zeros(2, 8, 64), torch.tensor([8, 8]))
    frames.sum().backward()
    assert all(torch.isfinite(value.grad).all() for value in crnn.parameters() if value.grad is not None)
    assert crnn.convolutions[0].weight.grad is not None
