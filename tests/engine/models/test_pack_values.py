"""Values in pack.json and in the choice of a pack that make no sense."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import KnownError
from engine.models import packs
from engine.models.packs import Pack
from tests.plain_words import assert_plain
from tests.tiny_pack import write_pack

DEEP = "[" * 100_000


def _set(*path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        for name in path[:-1]:
            manifest = manifest[name]
        manifest[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("format", value=float("inf")),
        _set("format", value="one"),
        _set("audio", value=[]),
        _set("audio", "cnn", "pools", value=["ab", "c"]),
        _set("files", value=["a.json"]),
        _set("files", value=[3]),
        _set("files", "audio.safetensors", value=None),
        _set("id", value="\ud800x"),
        _set("tied_layers", "dim", value=0),
        _set("tied_layers", "dim", value=float("inf")),
        _set("audio", "frontend", "sample_rate_hz", value=0),
        _set("audio", "frontend", "sample_rate_hz", value=-44_100),
        _set("audio", "frontend", "sample_rate_hz", value=999),
        _set("audio", "frontend", "sample_rate_hz", value=1_000_000),
        _set("audio", "frontend", "hop", value=0),
        _set("segments", "hop_s", value=0),
        _set("segments", "hop_s", value=20),
        _set("segments", "length_s", value=float("inf")),
        _set("segments", "length_s", value=float("nan")),
        _set("files", "a\0.json", value={"sha256": ""}),
    ],
)
def test_impossible_values(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    folder = write_pack(tmp_path / "one")
    manifest = json.loads((folder / "pack.json").read_text())
    change(manifest)
    (folder / "pack.json").write_text(json.dumps(manifest))
    with pytest.raises(KnownError) as caught:
        Pack.read(folder).verify()
    assert caught.value.kind == "pack_broken"
    assert_plain(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        _set("audio", "frontend", "sample_rate_hz", value=1_000),
        _set("audio", "frontend", "sample_rate_hz", value=999_999),
        _set("segments", value={"length_s": 0.5, "hop_s": 0.5}),
    ],
)
def test_values_that_are_just_possible(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    folder = write_pack(tmp_path / "one")
    manifest = json.loads((folder / "pack.json").read_text())
    change(manifest)
    (folder / "pack.json").write_text(json.dumps(manifest))
    pack = Pack.read(folder)
    assert pack.sample_rate_hz == manifest["audio"]["frontend"]["sample_rate_hz"]
    assert (pack.segment_s, pack.hop_s) == (manifest["segments"]["length_s"], manifest["segments"]["hop_s"])


def test_json_that_is_nested_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_pack(tmp_path / "one")
    (folder / "pack.json").write_text(DEEP)
    with pytest.raises(KnownError) as caught:
        Pack.read(folder)
    assert caught.value.kind == "pack_broken"
    choice = tmp_path / "choice.json"
    choice.write_text(DEEP)
    monkeypatch.setattr(packs, "pack_choice", lambda: choice)
    with pytest.raises(KnownError) as caught:
        packs.chosen_pack()
    assert caught.value.kind == "pack_choice_broken"


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_pack_in_a_folder_whose_name_is_no_text_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "pack_choice", lambda: tmp_path / "choice.json")
    folder = write_pack(tmp_path / os.fsdecode(b"na\xffme"), id="one")
    packs.use_pack(str(folder))
    assert packs.find_pack().folder == folder
