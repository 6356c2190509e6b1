"""The query: what can be asked, and its one JSON form."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import KnownError
from engine.library.query import (
    AllOf,
    AnyOf,
    Condition,
    Field,
    Filter,
    Likeness,
    Not,
    Operator,
    Query,
    checked,
    from_json,
    matches,
    to_json,
)

WHOLE = Query(
    "rain on a roof",
    (Likeness(path=Path("/a/b.wav"), start_s=1.0, end_s=2.5), Likeness(sound_id=7, weight=-0.5)),
    AllOf(
        (
            Condition(Field.DURATION_S, 10, Operator.ABOVE),
            AnyOf((Condition(Field.SUFFIX, ".wav"), Not(Condition(Field.NAME, "take", Operator.CONTAINS)))),
        )
    ),
    limit=20,
    offset=40,
)


def test_every_part_survives_its_json_form() -> None:
    assert from_json(to_json(WHOLE)) == WHOLE


def test_what_is_at_its_default_is_not_written() -> None:
    assert to_json(Query("rain")) == b'{"words":"rain"}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rain",
        "[]",
        b"\xff",
        '{"word": "rain"}',
        '{"words": "rain", "limit": 0}',
        '{"words": "rain", "limit": "many"}',
        '{"words": "rain", "offset": -1}',
        '{"words": "rain", "by": "colour"}',
        '{"words": "rain", "where": {"op": "is", "field": "colour", "value": 1}}',
        '{"words": "rain", "where": {"op": "perhaps", "parts": []}}',
        '{"like": [{}]}',
        '{"like": [{"path": "a.wav", "sound_id": 3}]}',
        '{"like": [{"path": "a.wav", "start_s": 3, "end_s": 2}]}',
    ],
)
def test_what_makes_no_sense_is_refused_in_words(text: str | bytes) -> None:
    with pytest.raises(KnownError) as caught:
        checked(from_json(text))
    assert caught.value.kind == "query_invalid"


@pytest.mark.parametrize(
    "where",
    [
        Condition(Field.CHANNELS, "two"),
        Condition(Field.NAME, 3),
        Condition(Field.NAME, "a", Operator.AT_LEAST),
        Condition(Field.DURATION_S, 3, Operator.CONTAINS),
        AllOf((AnyOf((Not(Condition(Field.CHANNELS, "two")),)),)),
    ],
)
def test_a_filter_compares_like_with_like(where: Filter) -> None:
    with pytest.raises(KnownError) as caught:
        checked(Query("rain", where=where))
    assert caught.value.kind == "query_invalid"


def test_there_must_be_something_to_rank_by() -> None:
    for query in (Query(), Query("  "), Query(where=Condition(Field.CHANNELS, 2))):
        assert not query.asks
        with pytest.raises(KnownError) as caught:
            checked(query)
        assert caught.value.kind == "caption_empty"
    assert checked(Query(like=(Likeness(sound_id=1),))).asks


def test_half_a_character_is_no_caption() -> None:
    with pytest.raises(KnownError) as caught:
        checked(Query("rain \ud83c"))
    assert caught.value.kind == "caption_not_text"


def test_what_can_just_be_asked() -> None:
    least = Query("rain", (Likeness(sound_id=1, start_s=2.0, end_s=2.1),), limit=1, offset=0)
    assert checked(least) == least
    assert (Query().limit, Query().offset) == (100, 0)
    with pytest.raises(KnownError, match="holds nothing"):
        checked(Query(like=(Likeness(sound_id=1, start_s=2.0, end_s=2.0),)))


def test_what_a_filter_means() -> None:
    facts = {Field.NAME: "Door Slam.wav", Field.DURATION_S: 2.0, Field.FOLDER: "/a/b", Field.CHANNELS: 2}
    two = Condition(Field.DURATION_S, 2.0)
    assert matches(two, facts)
    assert not matches(Not(two), facts)
    assert matches(Condition(Field.DURATION_S, 2.0, Operator.AT_LEAST), facts)
    assert matches(Condition(Field.DURATION_S, 2.0, Operator.AT_MOST), facts)
    assert not matches(Condition(Field.DURATION_S, 2.0, Operator.ABOVE), facts)
    assert not matches(Condition(Field.DURATION_S, 2.0, Operator.BELOW), facts)
    assert matches(Condition(Field.NAME, "SLAM", Operator.CONTAINS), facts)
    assert matches(Condition(Field.FOLDER, "/a"), facts)
    assert not matches(Condition(Field.FOLDER, "/a/bb"), facts)
    assert not matches(AllOf((two, Condition(Field.CHANNELS, 1))), facts)
    assert matches(AnyOf((Condition(Field.CHANNELS, 1), two)), facts)
    assert matches(AllOf(()), facts)
    assert not matches(AnyOf(()), facts)
