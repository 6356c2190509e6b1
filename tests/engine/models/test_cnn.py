"""CNN10 in both published parametrisations, and CNN14, against an independent computation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import correlate2d

from engine.models.cnn import AISFX_CNN10, PANNS_CNN10, PANNS_CNN14, Cnn, CnnConfig

Array = NDArray[np.float64]
TINY = {"panns": CnnConfig(16, (3, 4, 5, 6), PANNS_CNN10.pools, "average", True),
        "aisfx": CnnConfig(16, (3, 4, 5, 6), AISFX_CNN10.pools, "max", False),
        "cnn14": CnnConfig(32, (2, 3, 3, 3, 4, 5), PANNS_CNN14.pools, "average", True)}  # fmt: skip


def _random_cnn(config: CnnConfig) -> Cnn:
    torch.manual_seed(0)
    cnn = Cnn(config).eval()
    for name, value in cnn.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2.0)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(0.0, 0.3)
    return cnn


def _reference(cnn: Cnn, log_mel: Array) -> Array:
    """The same network in NumPy and SciPy, one clip, straight from the papers' description."""
    weights = {name: value.double().numpy() for name, value in cnn.state_dict().items()}

    def norm(x: Array, name: str) -> Array:
        scale = weights[f"{name}.weight"] / np.sqrt(weights[f"{name}.running_var"] + 1e-5)
        shift = weights[f"{name}.bias"] - weights[f"{name}.running_mean"] * scale
        result: Array = x * scale[:, None, None] + shift[:, None, None]
        return result

    def conv(x: Array, kernels: Array) -> Array:
        maps = [[correlate2d(c, k, mode="same") for c, k in zip(x, kernel, strict=True)] for kernel in kernels]
        summed: Array = np.array(maps).sum(axis=1)
        return summed

    x = log_mel[None]
    if cnn.config.input_norm:
        x = norm(x.transpose(2, 1, 0), "bn0").transpose(2, 1, 0)
    for index, (time_pool, band_pool) in enumerate(cnn.config.pools, start=1):
        for layer in (1, 2):
            block = f"conv_block{index}"
            x = np.maximum(norm(conv(x, weights[f"{block}.conv{layer}.weight"]), f"{block}.bn{layer}"), 0.0)
        frames, bands = x.shape[1] // time_pool, x.shape[2] // band_pool
        tiles = x[:, : frames * time_pool, : bands * band_pool].reshape(len(x), frames, time_pool, bands, band_pool)
        x = tiles.mean(axis=(2, 4)) if cnn.config.pool_kind == "average" else tiles.max(axis=(2, 4))
    mean: Array = x.mean(axis=2).T
    return mean


@pytest.mark.parametrize("kind", TINY)
def test_forward_equals_independent_computation(kind: str) -> None:
    cnn = _random_cnn(TINY[kind])
    log_mel = np.random.default_rng(1).standard_normal((41, cnn.config.n_mels))
    with torch.inference_mode():
        frames, lengths = cnn(torch.from_numpy(log_mel).float()[None], torch.tensor([41]))
    expected = _reference(cnn, log_mel)
    assert frames.shape[1] == lengths[0] == len(expected) == 41 // cnn.config.time_stride
    assert frames.shape[2] == cnn.width
    np.testing.assert_allclose(frames[0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("kind", TINY)
def test_fused_equals_unfused(kind: str) -> None:
    cnn = _random_cnn(TINY[kind])
    log_mel, lengths = torch.randn(2, 48, cnn.config.n_mels), torch.tensor([48, 48])
    with torch.inference_mode():
        before, _ = cnn(log_mel, lengths)
        after, _ = cnn.fuse()(log_mel, lengths)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", TINY)
def test_padded_batch_equals_single_runs(kind: str) -> None:
    cnn = _random_cnn(TINY[kind])
    lengths = torch.tensor([99, 32, 33, 77])
    log_mel = torch.randn(4, 99, cnn.config.n_mels)
    with torch.inference_mode():
        batch, valid = cnn(log_mel, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone, frames = cnn(log_mel[row : row + 1, :length], torch.tensor([length]))
            assert frames[0] == valid[row]
            torch.testing.assert_close(batch[row, : frames[0]], alone[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("config", "stride", "width"), [(PANNS_CNN10, 16, 512), (AISFX_CNN10, 8, 512), (PANNS_CNN14, 32, 2048)]
)
def test_published_shapes(config: CnnConfig, stride: int, width: int) -> None:
    cnn = Cnn(config).eval()
    with torch.inference_mode():
        frames, lengths = cnn(torch.zeros(1, 100, config.n_mels), torch.tensor([100]))
    assert config.time_stride == stride
    assert frames.shape == (1, 100 // stride, width)
    assert lengths.tolist() == [100 // stride]
