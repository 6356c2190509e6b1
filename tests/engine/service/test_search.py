"""Searching a library: one answer after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.errors import KnownError
from engine.service import search
from engine.service.session import Session
from tests.tiny_pack import make_pack


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for seed, name in enumerate(("a.wav", "b.wav")):
        soundfile.write(sounds / name, np.random.default_rng(seed).standard_normal(8000) * 0.1, 16_000)
    session = Session(tmp_path / "library.foundsound", make_pack(tmp_path / "packs"), workers=1)
    session.indexer.begin([session.add_folder(sounds)])
    while session.indexer.step():
        pass
    yield session
    session.close()


def test_captions_are_encoded_as_their_answers_are_taken(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = session.encoder()
    encode, asked = encoder.text_vectors, []

    def text_vectors(captions: Sequence[str]) -> np.ndarray:
        asked.append(len(captions))
        return encode(captions)

    monkeypatch.setattr(encoder, "text_vectors", text_vectors)
    monkeypatch.setattr(search, "CAPTION_BATCH", 2)
    found = session.search(["a dog", "rain", "a bell", "a door", "glass"], limit=10)
    assert asked == []
    assert len(next(found)) == 2
    assert asked == [2]
    assert [len(hits) for hits in found] == [2, 2, 2, 2]
    assert asked == [2, 2, 1]
    monkeypatch.setattr(search, "MATCHES_HELD", 10)
    assert len(list(session.search(["a dog", "rain"], limit=10))) == 2
    assert asked[3:] == [1, 1]


def test_a_caption_that_cannot_be_searched_is_refused_before_anything_is(session: Session) -> None:
    with pytest.raises(KnownError) as caught:
        session.search(["a dog", "  "], limit=10)
    assert caught.value.kind == "caption_empty"


def test_a_sound_is_not_like_itself_by_whatever_path(session: Session, tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(tmp_path / "sounds" / "a.wav")
    for path in (tmp_path / "sounds" / "a.wav", tmp_path / "link.wav"):
        assert [hit.path.name for hit in session.similar(path, 10)] == ["b.wav"]
    (tmp_path / "copy.wav").write_bytes((tmp_path / "sounds" / "a.wav").read_bytes())
    hits = session.similar(tmp_path / "copy.wav", 1)
    assert [(hit.rank, hit.path.name) for hit in hits] == [(1, "a.wav")], "a copy elsewhere is another file"
