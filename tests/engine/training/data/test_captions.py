"""Captions from names and tags."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.training.data import captions
from engine.training.data.captions import (
    CaptionOptions,
    CaptionWriter,
    gerund,
    join,
    load_categories,
    load_phrases,
    third_person,
    with_article,
)
from engine.training.data.tables import TaggedClip


@pytest.fixture(scope="module")
def writer() -> CaptionWriter:
    return CaptionWriter(CaptionOptions(), words=["zombie", "swordman"])


def _clip(name: str, tags: tuple[tuple[str, float], ...] = (), seconds: float = 3.0) -> TaggedClip:
    return TaggedClip(Path("x.wav"), "train", "source", name, seconds, tags)


@pytest.mark.parametrize(
    ("draft", "wanted"),
    [
        ("dog bark 03", "dog bark"),
        ("DoorSlam_d", "door slam"),
        ("dsitmbk", ""),
        ("fs gravel", "gravel"),
        ("zombie attack", "zombie attack"),
        ("qwertzuiop rain", "rain"),
        ("rain rain rain", "rain"),
        ("", ""),
        ("s a", ""),
    ],
)
def test_names_are_cleaned(writer: CaptionWriter, draft: str, wanted: str) -> None:
    assert writer.clean_name(draft) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dog bark", {"a dog barks", "a dog barking"}),
        ("owl hoot", {"an owl hoots", "an owl hooting"}),
        ("church bells ring", {"church bells ring", "church bells ringing"}),
        ("glass break", {"glass breaks", "glass breaking"}),
        ("children laugh", {"children laugh", "children laughing"}),
        ("gas burn", {"gas burns", "gas burning"}),
        ("rain", {"rain"}),
        ("metal bucket", {"a metal bucket"}),
        (
            "gravel walk",
            {
                "someone walks on gravel",
                "a person walking on gravel",
                "a person walks on gravel",
                "footsteps on gravel",
            },
        ),
        ("snow run", {"someone runs on snow", "a person running on snow", "footsteps on snow"}),
    ],
)
def test_names_become_clauses(writer: CaptionWriter, name: str, wanted: set[str]) -> None:
    rng = np.random.default_rng(0)
    assert {writer.sentence(name, rng) for _ in range(60)} == wanted


def test_grammar() -> None:
    verbs = ("bark", "screech", "cry", "buzz")
    assert [third_person(verb) for verb in verbs] == ["barks", "screeches", "cries", "buzzes"]
    assert [gerund(verb) for verb in ("bark", "slam", "chime", "die")] == ["barking", "slamming", "chiming", "dying"]
    assert [with_article(noun) for noun in ("dog", "owl", "rain", "bells", "a dog")] == [
        "a dog",
        "an owl",
        "rain",
        "bells",
        "a dog",
    ]


def test_likelier_tags_are_drawn_more_often(writer: CaptionWriter) -> None:
    rng = np.random.default_rng(0)
    clip = _clip("", (("Dog", 0.8), ("Rain", 0.2), ("Wind", 0.05)))
    drawn = [tag for _ in range(400) for tag in writer.draw_tags(clip, rng, most=1)]
    assert 2.5 < drawn.count("Dog") / drawn.count("Rain") < 6.5
    assert "Wind" not in drawn


def test_music_is_not_believed_on_very_short_sounds(writer: CaptionWriter) -> None:
    rng = np.random.default_rng(0)
    tags = (("Music", 0.9),)
    assert writer.draw_tags(_clip("", tags, seconds=0.4), rng) == []
    assert writer.draw_tags(_clip("", tags, seconds=4.0), rng) == ["Music"]


def test_draws_are_repeatable_and_varied(writer: CaptionWriter) -> None:
    clip = _clip("dog bark", (("Dog", 0.9), ("Bark", 0.8)))
    first = [writer.draw(clip, np.random.default_rng((1, index))) for index in range(40)]
    again = [writer.draw(clip, np.random.default_rng((1, index))) for index in range(40)]
    assert first == again
    assert len(set(first)) > 10
    assert all("dog" in caption or "bark" in caption or "pup" in caption for caption in first)


def test_nothing_to_say_gives_no_caption(writer: CaptionWriter) -> None:
    assert writer.draw(_clip("dsitmbk"), np.random.default_rng(0)) == ""


def test_written_captions_are_drawn_at_their_share_and_as_they_are(writer: CaptionWriter) -> None:
    written = ("A Dog far off, and 2 crows.", "barking heard through a wall")
    clip = replace(_clip("dog bark", (("Dog", 0.9),)), written=written)
    options = CaptionOptions()
    others = options.name + options.sentence + options.category + options.tags + options.both
    rng = np.random.default_rng(0)
    drawn = [writer.draw(clip, rng) for _ in range(2_000)]
    counts = [drawn.count(caption) / 2_000 for caption in written]
    assert counts == pytest.approx([options.written / (options.written + others) / 2] * 2, abs=0.03)
    assert not {writer.draw(_clip("dog bark", (("Dog", 0.9),)), rng) for _ in range(200)} & set(written)
    unwritten = CaptionWriter(replace(options, written=0.0))
    assert not {unwritten.draw(clip, rng) for _ in range(200)} & set(written)


def test_a_sound_without_name_and_tags_has_its_written_captions(writer: CaptionWriter) -> None:
    clip = replace(_clip("dsitmbk"), written=("a bell",))
    assert {writer.draw(clip, np.random.default_rng(seed)) for seed in range(20)} == {"a bell"}


def test_words_of_long_wordings_name_no_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    wordings = ("dog", "big quixotic dog bark", "a dog behind a neighbour's gate")
    monkeypatch.setattr(captions, "load_phrases", lambda: {"Dog": wordings})
    writer = CaptionWriter(CaptionOptions())
    assert writer.is_about_sound("quixotic")
    assert not writer.is_about_sound("behind")
    assert writer.clean_name("quixotic behind dog") == "quixotic dog"


def test_categories_of_the_universal_category_system(writer: CaptionWriter) -> None:
    category = writer.category("wooden door creak")
    assert category is not None
    assert category.name == "doors creak"
    assert writer.category("zzz") is None
    assert len(load_categories()) > 700


def test_a_category_gives_its_name_or_where_it_is_sure_a_synonym(writer: CaptionWriter) -> None:
    only = CaptionWriter(CaptionOptions(name=0, sentence=0, category=1, tags=0, both=0, prompt=0))
    drawn = {name: {only.draw(_clip(name), np.random.default_rng(seed)) for seed in range(300)} for name in NAMES}
    category = writer.category("door creak")
    assert category is not None
    assert drawn["door creak"] - {"doors creak door creak"} <= {f"door creak {word}" for word in category.synonyms}
    assert len(drawn["door creak"]) > 5
    assert drawn["metal bucket"] == {"metal bucket"}  # not "rain metal"
    assert drawn["bird chirp"] == {"bird chirp"}  # not a "bird of prey": one word in two forms is one word
    assert drawn["car door"] == {"car door"}


NAMES = ("door creak", "metal bucket", "bird chirp", "car door")


def test_joining_says_together_or_in_turn() -> None:
    rng = np.random.default_rng(0)
    together = {join("a dog barks", "rain falls", rng) for _ in range(100)}
    in_turn = {join("a dog barks", "rain falls", rng, in_turn=True) for _ in range(100)}
    assert "a dog barks while rain falls" in together
    assert "a dog barks followed by rain falls" in in_turn
    assert not together & in_turn


def test_every_wording_is_lower_case_and_distinct_within_its_label() -> None:
    for label, wordings in load_phrases().items():
        assert wordings, label
        assert len(set(wordings)) == len(wordings), label
        assert all(text == text.lower().strip() and text for text in wordings), label
