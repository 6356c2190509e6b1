"""The pack that ships: whole, small enough, and good enough to find the demo sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from engine import paths
from engine.library.query import Query
from engine.models.encoder import Encoder
from engine.models.packs import find_pack
from engine.service.opening import open_session
from tests.demo import attributions

TITLES = {row.file: row.title for row in attributions()}
Search = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def titles_of_hits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Search]:
    """Titles of the demo sounds that answer a caption, best first."""
    session = open_session(tmp_path_factory.mktemp("demo") / "library.foundsound", find_pack())
    session.indexer.begin([session.add_folder(paths.resources() / "demo")])
    while session.indexer.step():
        pass
    yield lambda caption: [TITLES[hit.path.name] for hit in session.find(Query(caption, limit=10))]
    session.close()


def test_it_is_whole_and_below_70_mb() -> None:
    pack = find_pack()
    pack.verify()
    files = [path for path in pack.folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 70e6
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".md", ".txt"}


@pytest.mark.parametrize(
    ("caption", "title"),
    [
        ("a dog barks", "Dog bark"),
        ("glass breaking", "Glass breaking"),
        ("a crowd cheers", "Crowd cheering"),
        ("somebody types on a keyboard", "Typing"),
        ("rain", "Rain"),
        ("toilet flushing", "Toilet flush"),
    ],
)
def test_it_finds_demo_sounds(titles_of_hits: Search, caption: str, title: str) -> None:
    assert title in titles_of_hits(caption)[:2]


def test_reduced_precision_hardly_moves_a_vector() -> None:
    waveforms = [np.random.default_rng(n).standard_normal(n).astype(np.float32) for n in (44_100, 200_000)]
    exact, reduced = (Encoder.load(find_pack(), "cpu", dtype) for dtype in (torch.float32, torch.bfloat16))
    one, other = (encoder.audio_vectors(encoder.frames(waveforms)) for encoder in (exact, reduced))
    assert (one * other).sum(axis=1).min() > 0.99
