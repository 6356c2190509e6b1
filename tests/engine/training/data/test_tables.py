"""The tables that captioned sounds come in."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import KnownError
from engine.training.data import tables as data


def _touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


def test_clotho_as_published(tmp_path: Path) -> None:
    """v2.1: five captions a row, quoted commas, a UTF-8 byte order mark tolerated."""
    _touch(tmp_path / "development", "Rain 01.wav", "dög.wav")
    header = "file_name,caption_1,caption_2,caption_3,caption_4,caption_5\n"
    rows = 'Rain 01.wav,"Rain, heavy rain.",b,c,d,e\ndög.wav,A dog barks.,f,g,h,i\n'
    (tmp_path / "clotho_captions_development.csv").write_text("\ufeff" + header + rows, encoding="utf-8")
    clips = data.load_clotho(tmp_path, "development")
    assert [clip.path.name for clip in clips] == ["Rain 01.wav", "dög.wav"]
    assert clips[0].captions == ("Rain, heavy rain.", "b", "c", "d", "e")
    queries = data.RetrievalSet.of_clips(clips)
    assert len(queries.captions) == 10
    assert queries.relevant[:6] == ((0,), (0,), (0,), (0,), (0,), (1,))


def test_manifest(tmp_path: Path) -> None:
    table = tmp_path / "manifest.csv"
    table.write_text(
        "file,split,source,seconds,caption,audioset_tags\n"
        'a/1.opus,train,one,0.5,dog bark,"Dog=0.9; Bee, wasp, etc.=0.1"\n'
        "a/2.opus,val,two,3,,\n",
        encoding="utf-8",
    )
    train, val = data.load_manifest(table, "train"), data.load_manifest(table, "val")
    assert train[0].tags == (("Dog", 0.9), ("Bee, wasp, etc.", 0.1))
    assert (train[0].path, train[0].seconds) == (tmp_path / "a/1.opus", 0.5)
    assert val[0].tags == ()
    assert len(data.load_manifest(table)) == 2


def test_captions_written_for_sounds_of_a_manifest(tmp_path: Path) -> None:
    table = tmp_path / "manifest.csv"
    rows = "a/1.opus,train,one,0.5,dog bark,\nb/1.opus,train,two,3,,\n"
    table.write_text(f"file,split,source,seconds,caption,audioset_tags\n{rows}", encoding="utf-8")
    written = {"a/1.opus": ("a dog barks", "woof"), "1.opus": ("rain",), "gone.opus": ("wind",)}
    assert [clip.written for clip in data.load_manifest(table, written=written)] == [("a dog barks", "woof"), ()]
    assert [clip.written for clip in data.load_manifest(table)] == [(), ()]


def test_audiocaps_leaves_out_vanished_videos(tmp_path: Path) -> None:
    _touch(tmp_path / "audio", "Yab-c_30.wav", "xyz.flac")
    table = tmp_path / "test.csv"
    table.write_text(
        "audiocap_id,youtube_id,start_time,caption\n1,ab-c,30,A man talks\n2,ab-c,30,Someone speaks\n"
        "3,xyz,0,Rain\n4,gone,10,Lost\n",
        encoding="utf-8",
    )
    clips = {clip.path.name: clip.captions for clip in data.load_audiocaps(table, tmp_path / "audio")}
    assert clips == {"Yab-c_30.wav": ("A man talks", "Someone speaks"), "xyz.flac": ("Rain",)}


def test_queries_with_many_relevant_files(tmp_path: Path) -> None:
    _touch(tmp_path, "1.wav", "2.wav", "3.wav")
    table = tmp_path / "queries.csv"
    table.write_text("caption,file_name\ndog,1.wav\nrain,2.wav\ndog,3.wav\ndog,1.wav\n", encoding="utf-8")
    queries = data.load_queries(table, tmp_path)
    assert queries.captions == ("dog", "rain")
    assert [path.name for path in queries.files] == ["1.wav", "2.wav", "3.wav"]
    assert queries.relevant == ((0, 2), (1,))


def test_distractors_are_searched_too(tmp_path: Path) -> None:
    one, two = tmp_path / "1.wav", tmp_path / "2.wav"
    assert data.RetrievalSet.of_pairs([("dog", two)], [one, two]).files == (two, one)


@pytest.mark.parametrize(
    ("content", "kind", "mention"),
    [
        (None, "data_missing", "clotho_captions_validation.csv"),
        (b"name,caption_1\na.wav,x\n", "data_columns", "file_name"),
        (b"file_name,text\na.wav,x\n", "data_columns", "caption"),
        (b"file_name,caption_1\n", "data_missing", "no sound"),
        (b"file_name,caption_1\na.wav,x\n", "data_missing", "a.wav"),
        (b"file_name,caption_1\n\xff\xfe\n", "data_malformed", "UTF-8"),
        (b"", "data_columns", "file_name"),
    ],
)
def test_wrong_layouts_are_named(tmp_path: Path, content: bytes | None, kind: str, mention: str) -> None:
    if content is not None:
        (tmp_path / "clotho_captions_validation.csv").write_bytes(content)
    with pytest.raises(KnownError) as caught:
        data.load_clotho(tmp_path, "validation")
    assert caught.value.kind == kind
    assert mention in caught.value.detail
    assert caught.value.hint


def test_a_malformed_manifest_line_is_named(tmp_path: Path) -> None:
    table = tmp_path / "m.csv"
    table.write_text("file,split,source,seconds,caption,audioset_tags\na,train,s,1,dog,Dog\n", encoding="utf-8")
    with pytest.raises(KnownError, match="Line 2") as caught:
        data.load_manifest(table)
    assert caught.value.kind == "data_malformed"


def test_what_is_lost_takes_its_captions_along(tmp_path: Path) -> None:
    one, two, three = (tmp_path / f"{number}.wav" for number in (1, 2, 3))
    wanted = data.RetrievalSet.of_pairs([("dog", one), ("dog", two), ("rain", two), ("bell", three)])
    left = wanted.without({1})
    assert left == data.RetrievalSet((one, three), ("dog", "bell"), ((0,), (1,)))
    assert left.mask().tolist() == [[True, False], [False, True]]
    assert wanted.mask().tolist() == [[True, True, False], [False, True, False], [False, False, True]]


def test_an_evaluation_is_told_by_its_columns_and_may_lack_files(tmp_path: Path) -> None:
    (tmp_path / "clotho.csv").write_text("file_name,caption_1,caption_2\na.wav,rain,wind\nb.wav,rain,dog\n")
    found = data.load_evaluation(tmp_path / "clotho.csv", tmp_path)
    assert (found.captions, found.relevant) == (("rain", "wind", "rain", "dog"), ((0,), (0,), (1,), (1,)))
    (tmp_path / "queries.csv").write_text("caption,file_name\nrain,a.wav\nrain,b.wav\n")
    found = data.load_evaluation(tmp_path / "queries.csv", tmp_path)
    assert (found.captions, found.relevant) == (("rain",), ((0, 1),))
    with pytest.raises(KnownError) as caught:
        data.load_queries(tmp_path / "queries.csv", tmp_path)
    assert caught.value.kind == "data_missing"


@pytest.mark.parametrize("rows", ["a.wav,", ",rain", ""])
def test_an_evaluation_without_captions_or_files_is_refused(tmp_path: Path, rows: str) -> None:
    (tmp_path / "empty.csv").write_text(f"file_name,caption_1\n{rows}\n")
    with pytest.raises(KnownError) as caught:
        data.load_evaluation(tmp_path / "empty.csv", tmp_path)
    assert caught.value.kind in ("data_missing", "data_columns")
    assert "empty.csv" in caught.value.detail


def test_a_subset_is_always_the_same_and_in_order() -> None:
    items = list(range(100))
    chosen = data.subset(items, 10)
    assert chosen == data.subset(items, 10) == sorted(set(chosen))
    assert len(chosen) == 10
    assert chosen != items[:10]
    assert data.subset(items, 0) == data.subset(items, 100) == data.subset(items, 1000) == items
