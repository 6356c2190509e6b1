"""Searching a library: one answer after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from msgspec import structs

from engine.errors import KnownError
from engine.library.query import Condition, Field, Likeness, Operator, Query
from engine.service import search
from engine.service.opening import open_session
from engine.service.session import Session
from tests.tiny_pack import make_pack


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for seed, name in enumerate(("a.wav", "b.wav")):
        soundfile.write(sounds / name, np.random.default_rng(seed).standard_normal(8000) * 0.1, 16_000)
    session = open_session(tmp_path / "library.foundsound", make_pack(tmp_path / "packs"), workers=1)
    session.indexer.begin([session.add_folder(sounds)])
    while session.indexer.step():
        pass
    yield session
    session.close()


def test_captions_are_encoded_as_their_answers_are_taken(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = session.encoders.get()
    encode, asked = encoder.text_vectors, []

    def text_vectors(captions: Sequence[str]) -> np.ndarray:
        asked.append(len(captions))
        return encode(captions)

    monkeypatch.setattr(encoder, "text_vectors", text_vectors)
    monkeypatch.setattr(search, "CAPTION_BATCH", 2)
    found = session.find_all([Query(text, limit=10) for text in ("a dog", "rain", "a bell", "a door", "glass")])
    assert asked == []
    assert len(next(found)) == 2
    assert asked == [2]
    assert [len(hits) for hits in found] == [2, 2, 2, 2]
    assert asked == [2, 2, 1]
    monkeypatch.setattr(search, "MATCHES_HELD", 10)
    assert len(list(session.find_all([Query("a dog", limit=10), Query("rain", limit=10)]))) == 2
    assert asked[3:] == [1, 1]


def test_a_caption_that_cannot_be_searched_is_refused_before_anything_is(session: Session) -> None:
    with pytest.raises(KnownError) as caught:
        session.find_all([Query("a dog"), Query("  ")])
    assert caught.value.kind == "caption_empty"


def test_a_sound_is_not_like_itself_by_whatever_path(session: Session, tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(tmp_path / "sounds" / "a.wav")
    for path in (tmp_path / "sounds" / "a.wav", tmp_path / "link.wav"):
        assert [hit.path.name for hit in session.find(Query(like=(Likeness(path=path),), limit=10))] == ["b.wav"]
    (tmp_path / "copy.wav").write_bytes((tmp_path / "sounds" / "a.wav").read_bytes())
    hits = session.find(Query(like=(Likeness(path=tmp_path / "copy.wav"),), limit=1))
    assert [(hit.rank, hit.path.name) for hit in hits] == [(1, "a.wav")], "a copy elsewhere is another file"


def test_likenesses_and_words_are_weighed(session: Session, tmp_path: Path) -> None:
    a, b = (Likeness(path=tmp_path / "sounds" / name) for name in ("a.wav", "b.wav"))
    stored = [session.library.catalogue.sound_at(tmp_path / "sounds" / name) for name in ("a.wav", "b.wav")]
    ids = [sound.sound_id for sound in stored if sound is not None]
    vectors = [segments.vectors[0] for i in ids if (segments := session.library.vectors.segments(i)) is not None]
    (words,) = session.encoders.get().text_vectors(["a dog"])
    (tmp_path / "third").mkdir()
    soundfile.write(tmp_path / "third" / "c.wav", np.random.default_rng(7).standard_normal(8000) * 0.1, 16_000)
    session.indexer.begin([session.add_folder(tmp_path / "third")])
    while session.indexer.step():
        pass
    (hit,) = session.find(Query("a dog", (a, structs.replace(b, weight=-0.5))))
    assert hit.path.name == "c.wav", "the sounds themselves are left out"
    wanted = words + vectors[0] - 0.5 * vectors[1]
    segments = session.library.vectors.segments(hit.sound_id)
    assert segments is not None
    assert hit.score == pytest.approx(float(segments.vectors[0] @ wanted / np.linalg.norm(wanted)), abs=1e-5)
    by_id = session.find(Query("a dog", (Likeness(sound_id=ids[0]), Likeness(sound_id=ids[1], weight=-0.5))))
    assert by_id == (hit,)


def test_a_region_of_a_sound_is_its_segments_there(session: Session, tmp_path: Path) -> None:
    (tmp_path / "long").mkdir()
    quiet, loud = (np.random.default_rng(seed).standard_normal(16_000 * 15) for seed in (3, 4))
    quiet = np.sin(np.arange(len(quiet)) / 3)
    soundfile.write(tmp_path / "long" / "long.wav", np.concatenate([quiet, loud]) * 0.1, 16_000)
    session.indexer.begin([session.add_folder(tmp_path / "long")])
    while session.indexer.step():
        pass
    path = tmp_path / "long" / "long.wav"
    first, last = (
        session.find(Query(like=(Likeness(path=path, start_s=start, end_s=end),)))
        for start, end in ((0.0, 4.0), (26.0, 30.0))
    )
    whole = session.find(Query(like=(Likeness(path=path),)))
    scores = [{hit.path.name: hit.score for hit in hits} for hits in (first, last, whole)]
    assert scores[0] != scores[1] != scores[2]
    segments = session.library.vectors.segments(_id(session, path))
    other = session.library.vectors.segments(_id(session, tmp_path / "sounds" / "a.wav"))
    assert segments is not None
    assert other is not None
    assert scores[0]["a.wav"] == pytest.approx(float(segments.vectors[0] @ other.vectors[0]), abs=1e-5)


def _id(session: Session, path: Path) -> int:
    sound = session.library.catalogue.sound_at(path)
    assert sound is not None
    return sound.sound_id


def test_pages_and_filters(session: Session, tmp_path: Path) -> None:
    everything = session.find(Query("a dog"))
    assert [hit.rank for hit in everything] == [1, 2]
    assert session.find(Query("a dog", limit=1, offset=1)) == everything[1:]
    only = Condition(Field.NAME, "B", Operator.CONTAINS)
    assert [hit.path.name for hit in session.find(Query("a dog", where=only))] == ["b.wav"]


def test_a_sound_that_the_library_has_not_is_refused(session: Session) -> None:
    with pytest.raises(KnownError) as caught:
        session.find(Query(like=(Likeness(sound_id=999),)))
    assert caught.value.kind == "query_invalid"
