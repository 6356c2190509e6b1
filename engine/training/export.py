"""Trained weights -> a pack folder that the app can use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from engine.models.cnn import CnnConfig
from engine.models.frontend import FrontendConfig, mel_filters
from engine.models.packs import FORMAT, TEXT_FILES, Pack, describe_files
from engine.models.tied_layers import TiedConfig


@dataclass(frozen=True)
class PackParts:
    """What a pack is made of. ``about`` holds name, description, licences, sources and training for ``pack.json``."""

    pack_id: str
    frontend: FrontendConfig
    cnn: CnnConfig
    cnn_weights: Mapping[str, Tensor]
    tied: TiedConfig
    tied_weights: Mapping[str, Tensor]
    text_folder: Path
    about: Mapping[str, Any]
    max_tokens: int = 64
    segment_s: float = 10.0
    hop_s: float = 5.0


def build_pack(parts: PackParts, folder: Path) -> Pack:
    """Write the pack's files and ``pack.json``; CNN and text weights are stored in fp16.

    Files already there with the same name are replaced; others (model card, licences) are left alone.
    """
    text = folder / "text"
    text.mkdir(parents=True, exist_ok=True)
    for name in TEXT_FILES:
        if name.endswith(".safetensors"):
            _save_half(load_file(parts.text_folder / name), text / name)
        else:
            (text / name).write_bytes((parts.text_folder / name).read_bytes())  # they may be the same file
    mel = torch.from_numpy(mel_filters(parts.frontend))
    _save_half(parts.cnn_weights, folder / "audio.safetensors", {"frontend.mel": mel})
    _save_half(parts.tied_weights, folder / "tied_layers.safetensors")
    manifest = {
        "format": FORMAT,
        "id": parts.pack_id,
        **parts.about,
        "audio": {"file": "audio.safetensors", "frontend": asdict(parts.frontend), "cnn": asdict(parts.cnn)},
        "text": {"folder": "text", "max_tokens": parts.max_tokens},
        "tied_layers": {"file": "tied_layers.safetensors", "dim": parts.tied.dim, "config": asdict(parts.tied)},
        "segments": {"length_s": parts.segment_s, "hop_s": parts.hop_s},
        "files": describe_files(folder),
    }
    content = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / "pack.json").write_text(content, encoding="utf-8", newline="\n")
    return Pack.read(folder)


def _save_half(weights: Mapping[str, Tensor], path: Path, exact: Mapping[str, Tensor] | None = None) -> None:
    """Floats in fp16, batch counters and position ids (which the models make themselves) left out."""
    kept = {
        name: value.detach().half().contiguous()
        for name, value in weights.items()
        if value.is_floating_point() and not name.endswith(("num_batches_tracked", "position_ids"))
    }
    whole = {**kept, **{name: value.contiguous() for name, value in (exact or {}).items()}}
    path.write_bytes(save(whole))  # save_file would let only this user read it
