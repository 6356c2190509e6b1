"""SQLite's errors: those a user can act on, and bugs."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.library.sqlite.errors import as_known


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT * FROM segment", "library_corrupt"),
        ("SELECT * FROM main.tally", "library_corrupt"),
        ("SELECT * FROM nonsense", None),
        ("SELECT nonsense", None),
        ("SELECT nonsense()", None),
        ("SELEKT", None),
    ],
)
def test_only_a_table_that_the_file_has_lost_is_damage(statement: str, kind: str | None) -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.Error) as caught:
        connection.execute(statement)
    connection.close()
    known = as_known(Path("library"), caught.value)
    assert (known.kind if known else None) == kind
