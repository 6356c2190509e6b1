"""Packs are written whole, and over themselves."""

from __future__ import annotations

from pathlib import Path

from engine.models.cnn import Cnn
from engine.models.tied_layers import TiedLayers
from engine.training.export import PackParts, build_pack
from tests.tiny_pack import CNN, FRONTEND, TIED, make_pack


def test_a_pack_is_built_anew_with_its_own_text_encoder(tmp_path: Path) -> None:
    first = make_pack(tmp_path)
    card = first.folder / "MODEL_CARD.md"
    card.write_text("written by hand", encoding="utf-8")
    text = {path.name: path.read_bytes() for path in (first.folder / "text").iterdir()}
    parts = PackParts(
        first.pack_id,
        FRONTEND,
        CNN,
        Cnn(CNN).state_dict(),
        TIED,
        TiedLayers(TIED).state_dict(),
        first.folder / "text",
        {"name": "Tiny", "licence": "CC0"},
    )
    again = build_pack(parts, first.folder)
    assert again.pack_hash != first.pack_hash
    assert {path.name: path.read_bytes() for path in (again.folder / "text").iterdir()} == text
    assert card.read_text(encoding="utf-8") == "written by hand"
