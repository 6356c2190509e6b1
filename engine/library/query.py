"""The one question that a library is asked: words, sounds to be like or unlike, a filter, and which hits of the answer.

A ``Query`` is plain data with one JSON form, which the command line, saved searches and other programs share. How a
filter becomes SQL is the store's affair (``engine.library.sqlite.filters``), how words and likenesses become a vector
the encoder's; :func:`matches` says in Python what a filter means, whatever the store.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.errors import ErrorKind, KnownError


class RankBy(StrEnum):
    """What hits are ranked by. ``sound`` is the audio alone."""

    SOUND = "sound"


class Field(StrEnum):
    """What a filter can ask of a sound. ``folder`` is a path: the sound lies in it, however deep."""

    FOLDER = "folder"
    NAME = "name"
    SUFFIX = "suffix"
    DURATION_S = "duration_s"
    SAMPLE_RATE_HZ = "sample_rate_hz"
    CHANNELS = "channels"


class Operator(StrEnum):
    """How a field is compared. ``contains`` is for texts, and takes upper and lower case for equal."""

    IS = "="
    AT_LEAST = ">="
    AT_MOST = "<="
    ABOVE = ">"
    BELOW = "<"
    CONTAINS = "contains"


_TEXTS: Final = frozenset({Field.FOLDER, Field.NAME, Field.SUFFIX})
_FOR_TEXTS: Final = frozenset({Operator.IS, Operator.CONTAINS})
_FOR_NUMBERS: Final = frozenset(Operator) - {Operator.CONTAINS}


class Condition(msgspec.Struct, frozen=True, tag="is", tag_field="op", forbid_unknown_fields=True):
    """One field of a sound compared with a value."""

    field: Field
    value: str | int | float
    by: Operator = Operator.IS


class AllOf(msgspec.Struct, frozen=True, tag="and", tag_field="op", forbid_unknown_fields=True):
    """Every part holds; no parts hold always."""

    parts: tuple[Filter, ...]


class AnyOf(msgspec.Struct, frozen=True, tag="or", tag_field="op", forbid_unknown_fields=True):
    """At least one part holds; no parts never hold."""

    parts: tuple[Filter, ...]


class Not(msgspec.Struct, frozen=True, tag="not", tag_field="op", forbid_unknown_fields=True):
    """The part does not hold."""

    part: Filter


Filter = Condition | AllOf | AnyOf | Not


class Likeness(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A sound to be like: a file (in the library or not) or a sound of the library by its id; all of it, or a region.

    ``weight`` says how much it counts beside the words (1) and the others; it is negative for a sound to be unlike.
    """

    path: Path | None = None
    sound_id: int | None = None
    start_s: float | None = None
    end_s: float | None = None
    weight: float = 1.0


class Query(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What to find, and which part of the answer is wanted: hits ``offset + 1`` to ``offset + limit`` by rank.

    Words are a caption; they count once beside each likeness's weight. Without words and likenesses there is nothing
    to rank by, and :func:`checked` refuses.
    """

    words: str = ""
    like: tuple[Likeness, ...] = ()
    where: Filter | None = None
    by: RankBy = RankBy.SOUND
    limit: int = 100
    offset: int = 0

    @property
    def asks(self) -> bool:
        """Whether there is anything to rank by."""
        return bool(self.words.strip()) or bool(self.like)


def checked(query: Query) -> Query:
    """The query itself, where it can be asked.

    Raises:
        KnownError: ``caption_empty`` when there is nothing to rank by, ``caption_not_text``, or ``query_invalid``.
    """
    if not query.asks:
        raise KnownError(ErrorKind.CAPTION_EMPTY, "The caption is empty.", "Describe a sound, like “glass breaking”.")
    try:
        query.words.encode()
    except UnicodeEncodeError as error:  # bytes of another encoding, or half of a pasted character
        readable = query.words[:100].encode(errors="backslashreplace").decode()
        detail = f"The caption “{readable}” is not valid text."
        raise KnownError(ErrorKind.CAPTION_NOT_TEXT, detail, "Type it again, or save it as UTF-8.") from error
    if query.limit < 1 or query.offset < 0:
        raise _invalid(f"limit {query.limit} and offset {query.offset} make no sense")
    for likeness in query.like:
        if (likeness.path is None) == (likeness.sound_id is None):
            raise _invalid("a sound to be like is named either by its path or by its id")
        if likeness.start_s is not None and likeness.end_s is not None and likeness.start_s >= likeness.end_s:
            raise _invalid(f"a region from {likeness.start_s:g} s to {likeness.end_s:g} s holds nothing")
    if query.where is not None:
        _check_filter(query.where)
    return query


def _check_filter(where: Filter) -> None:
    """Refuse what has no meaning: numbers compared with texts, and texts put in an order."""
    match where:
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                _check_filter(part)
        case Not(part):
            _check_filter(part)
        case Condition(field, value, by):
            is_text = field in _TEXTS
            if isinstance(value, str) != is_text:
                raise _invalid(f"{field} is compared with {value!r}, which is {'no text' if is_text else 'no number'}")
            if by not in (_FOR_TEXTS if is_text else _FOR_NUMBERS):
                raise _invalid(f"{field} cannot be compared by “{by}”")


def to_json(query: Query) -> bytes:
    """The one JSON form of a query; fields at their defaults are left out."""
    return msgspec.json.encode(query, enc_hook=str)


def from_json(text: bytes | str) -> Query:
    """The query that :func:`to_json` wrote, or a person did; whether it can be asked, :func:`checked` tells.

    Raises:
        KnownError: ``query_invalid``, saying where.
    """
    try:
        return msgspec.json.decode(text, type=Query, dec_hook=lambda kind, value: kind(value))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _invalid(str(error)) from error


_COMPARE: Final[Mapping[Operator, Callable[[Any, Any], bool]]] = {
    Operator.IS: operator.eq,
    Operator.AT_LEAST: operator.ge,
    Operator.AT_MOST: operator.le,
    Operator.ABOVE: operator.gt,
    Operator.BELOW: operator.lt,
    Operator.CONTAINS: lambda text, part: str(part).casefold() in str(text).casefold(),
}


def matches(condition: Filter, facts: Mapping[Field, Any]) -> bool:
    """Whether a sound with these facts passes: what every store must agree with.

    Args:
        condition: The filter.
        facts: What is known of the sound by field: ``folder`` is the path of the folder that holds its file, ``name``
            the file's name, and ``suffix`` the name's suffix in lower case, with its dot.
    """
    match condition:
        case AllOf(parts):
            return all(matches(part, facts) for part in parts)
        case AnyOf(parts):
            return any(matches(part, facts) for part in parts)
        case Not(part):
            return not matches(part, facts)
        case Condition(Field.FOLDER, value):
            return Path(facts[Field.FOLDER]).is_relative_to(str(value))
        case Condition(field, value, by):
            return _COMPARE[by](facts[field], value)


def _invalid(reason: str) -> KnownError:
    return KnownError(ErrorKind.QUERY_INVALID, f"The query cannot be asked: {reason}.", "Write it as the manual shows.")
