"""A pack brought to life."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from engine.errors import KnownError
from engine.models.encoder import Encoder
from engine.models.packs import Pack, describe_files
from tests.plain_words import assert_plain
from tests.tiny_pack import make_pack


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return Encoder.load(make_pack(tmp_path_factory.mktemp("packs")), device="cpu", dtype=torch.float32)


def _noise(samples: int) -> NDArray[np.float32]:
    return np.random.default_rng(samples).standard_normal(samples).astype(np.float32)


def test_frames_do_not_depend_on_company(encoder: Encoder) -> None:
    waveforms = [_noise(n) for n in (8_000, 1, 900, 30_000, 8_100, 250)]
    together = encoder.frames(waveforms)
    for waveform, frames in zip(waveforms, together, strict=True):
        (alone,) = encoder.frames([waveform])
        assert frames.shape == alone.shape
        assert len(frames) >= 1
        np.testing.assert_allclose(frames, alone, rtol=1e-3, atol=1e-4)


def test_blocks_of_a_long_sound_line_up(encoder: Encoder) -> None:
    (frames,) = encoder.frames([_noise(encoder.pack.block_samples)])
    assert len(frames) * encoder.pack.frame_samples == encoder.pack.block_samples


def test_vectors_are_unit_and_of_the_packs_dim(encoder: Encoder) -> None:
    audio = encoder.audio_vectors(encoder.frames([_noise(5_000), _noise(70)]))
    text = encoder.text_vectors(["a dog barking", "🐕", "rain " * 3_000])
    assert audio.shape == (2, 8)
    assert text.shape == (3, 8)
    assert audio.dtype == text.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([audio, text]), axis=1), 1.0, rtol=1e-5)


def test_no_segments_no_vectors(encoder: Encoder) -> None:
    assert encoder.audio_vectors([]).shape == (0, 8)


def _damaged(pack: Pack, name: str, content: bytes | None = None, update_hash: bool = True) -> Pack:
    if content is not None:
        (pack.folder / name).write_bytes(content)
    if update_hash:
        manifest = {**pack.manifest, "files": describe_files(pack.folder)}
        (pack.folder / "pack.json").write_text(json.dumps(manifest))
    return Pack.read(pack.folder)


def _load_error(pack: Pack) -> KnownError:
    with pytest.raises(KnownError) as caught:
        Encoder.load(pack, device="cpu")
    assert_plain(caught.value)
    return caught.value


@pytest.mark.parametrize("name", ["audio.safetensors", "tied_layers.safetensors", "text/tokenizer.json"])
def test_a_wrong_hash_names_the_file(tmp_path: Path, name: str) -> None:
    pack = make_pack(tmp_path)
    content = (pack.folder / name).read_bytes()
    error = _load_error(_damaged(pack, name, content[:-1] + bytes([content[-1] ^ 1]), update_hash=False))
    assert error.kind == "pack_wrong_hash"
    assert str(pack.folder / name) in str(error)


def test_a_truncated_file_is_named_even_when_its_hash_fits(tmp_path: Path) -> None:
    pack = make_pack(tmp_path)
    content = (pack.folder / "audio.safetensors").read_bytes()
    error = _load_error(_damaged(pack, "audio.safetensors", content[: len(content) // 2]))
    assert error.kind == "pack_broken"
    assert "audio.safetensors" in str(error)


@pytest.mark.parametrize("name", ["audio.safetensors", "tied_layers.safetensors"])
def test_weights_that_are_not_numbers(tmp_path: Path, name: str) -> None:
    pack = make_pack(tmp_path)
    weights = load_file(pack.folder / name)
    key = next(key for key in weights if key.endswith("weight"))
    save_file({**weights, key: torch.full_like(weights[key], float("nan"))}, pack.folder / name)
    error = _load_error(_damaged(pack, name))
    assert error.kind == "pack_broken"
    assert key in str(error)


def test_a_missing_weight_and_an_unknown_field(tmp_path: Path) -> None:
    pack = make_pack(tmp_path)
    weights = load_file(pack.folder / "tied_layers.safetensors")
    del weights["audio_projection.bias"]
    save_file(weights, pack.folder / "tied_layers.safetensors")
    assert "audio_projection.bias" in str(_load_error(_damaged(pack, "tied_layers.safetensors")))
    other = make_pack(tmp_path, "other")
    other.manifest["audio"]["cnn"]["colour"] = "red"
    (other.folder / "pack.json").write_text(json.dumps(other.manifest))
    error = _load_error(Pack.read(other.folder))
    assert error.kind == "pack_broken"
    assert "“colour” is unknown" in str(error)
    del other.manifest["audio"]["cnn"]["colour"], other.manifest["audio"]["cnn"]["widths"]
    (other.folder / "pack.json").write_text(json.dumps(other.manifest))
    assert "“widths” is missing" in str(_load_error(Pack.read(other.folder)))
