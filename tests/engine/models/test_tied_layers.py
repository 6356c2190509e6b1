"""Tied layers: one set of weights for both modalities, masks, unit vectors."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine.models.tied_layers import TiedConfig, TiedLayers

CONFIG = TiedConfig(audio_dim=12, text_dim=10, dim=8, layers=2, heads=2, feedforward=16)
VARIANTS = {
    "transformer": CONFIG,
    "linear": replace(CONFIG, kind="linear"),
    "attention": replace(CONFIG, pooling="attention"),
}


def _layers(config: TiedConfig) -> TiedLayers:
    torch.manual_seed(0)
    return TiedLayers(config).eval()


@pytest.mark.parametrize("kind", VARIANTS)
def test_padding_never_changes_a_vector(kind: str) -> None:
    tied = _layers(VARIANTS[kind])
    lengths = torch.tensor([9, 1, 4])
    frames = torch.randn(3, 9, 12)
    with torch.inference_mode():
        batch = tied.audio(frames, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = tied.audio(frames[row : row + 1, :length], torch.tensor([length]))
            torch.testing.assert_close(batch[row], alone[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", VARIANTS)
def test_vectors_have_unit_length_and_the_configured_size(kind: str) -> None:
    tied = _layers(VARIANTS[kind])
    audio = tied.audio(torch.randn(2, 5, 12), torch.tensor([5, 3]))
    text = tied.text(torch.randn(2, 4, 10), torch.tensor([4, 2]))
    assert audio.shape == text.shape == (2, 8)
    torch.testing.assert_close(torch.cat([audio, text]).norm(dim=1), torch.ones(4))


def test_both_modalities_run_through_the_same_layers() -> None:
    tied = _layers(replace(CONFIG, text_dim=12))
    tied.text_projection.load_state_dict(tied.audio_projection.state_dict())
    x, lengths = torch.randn(2, 6, 12), torch.tensor([6, 2])
    torch.testing.assert_close(tied.audio(x, lengths), tied.text(x, lengths))


def test_the_papers_sizes() -> None:
    for layers, dim in ((2, 192), (4, 96)):
        config = TiedConfig(audio_dim=512, text_dim=384, dim=dim, layers=layers)
        assert len(TiedLayers(config).layers) == layers
        assert TiedLayers(config).audio(torch.randn(1, 3, 512), torch.tensor([3])).shape == (1, dim)


def test_without_layers_states_are_pooled_as_they_are() -> None:
    tied = TiedLayers(TiedConfig(audio_dim=8, text_dim=8, dim=8, kind="none"))
    assert not list(tied.parameters())
    x, lengths = torch.randn(2, 6, 8), torch.tensor([6, 2])
    wanted = torch.stack([x[0].mean(dim=0), x[1, :2].mean(dim=0)])
    torch.testing.assert_close(tied.audio(x, lengths), wanted / wanted.norm(dim=1, keepdim=True))
    torch.testing.assert_close(tied.text(x, lengths), tied.audio(x, lengths))
