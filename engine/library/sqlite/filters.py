"""How a filter becomes SQL: the one place where it does."""

from __future__ import annotations

import sqlite3
from pathlib import Path, PurePosixPath
from typing import Final

from engine.library.query import AllOf, AnyOf, Condition, Field, Filter, Not, Operator
from engine.library.sqlite.places import Place, under

_COLUMNS: Final = {
    Field.NAME: "name_of(sound.path)",
    Field.SUFFIX: "suffix_of(sound.path)",
    Field.DURATION_S: "content.duration_s",
    Field.SAMPLE_RATE_HZ: "content.sample_rate_hz",
    Field.CHANNELS: "content.channels",
}


def prepare(connection: sqlite3.Connection) -> None:
    """Teach a connection what filters ask of texts."""
    connection.create_function("name_of", 1, lambda path: path.rpartition("/")[2], deterministic=True)
    connection.create_function("suffix_of", 1, lambda path: PurePosixPath(path).suffix.lower(), deterministic=True)
    connection.create_function("contains", 2, lambda text, part: part.casefold() in text.casefold(), deterministic=True)


def clause(where: Filter | None, places: list[Place]) -> tuple[str, list[str | int | float]]:
    """SQL and its parameters for sounds that pass, over the tables ``sound`` and ``content``.

    Args:
        where: The filter; None lets every sound pass.
        places: The library's folders.
    """
    match where:
        case None:
            return "1", []
        case AllOf(parts):
            return _joined(" AND ", "1", parts, places)
        case AnyOf(parts):
            return _joined(" OR ", "0", parts, places)
        case Not(part):
            sql, parameters = clause(part, places)
            return f"NOT ({sql})", parameters
        case Condition(Field.FOLDER, value):
            return _in_folder(Path(str(value)), places)
        case Condition(field, value, Operator.CONTAINS):
            return f"contains({_COLUMNS[field]}, ?)", [value]
        case Condition(field, value, by):
            return f"{_COLUMNS[field]} {by.value} ?", [value]


def _joined(
    word: str, empty: str, parts: tuple[Filter, ...], places: list[Place]
) -> tuple[str, list[str | int | float]]:
    clauses = [clause(part, places) for part in parts]
    sql = word.join(f"({sql})" for sql, _ in clauses) or empty
    return sql, [value for _, parameters in clauses for value in parameters]


def _in_folder(wanted: Path, places: list[Place]) -> tuple[str, list[str | int | float]]:
    clauses, parameters = [], list[str | int | float]()
    for place in places:
        if place.path.is_relative_to(wanted):
            clauses.append("sound.folder_id = ?")
            parameters.append(place.folder_id)
        elif wanted.is_relative_to(place.path):
            inside = wanted.relative_to(place.path).as_posix()
            clauses.append("sound.folder_id = ? AND sound.path >= ? AND sound.path < ?")
            parameters += [place.folder_id, *under(inside)]
    return " OR ".join(f"({part})" for part in clauses) or "0", parameters
