"""What is SQLite's own about a library."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.library.query import AllOf, Condition, Field, Operator
from engine.library.sqlite.library import SqliteLibrary
from tests.engine.library.library import (
    DIM,
    FILE_GONE,
    PACK,
    best,
    everything,
    index_folder,
    index_pending,
    open_library,
    rank,
    scan,
    searchable,
    vectors_of,
)
from tests.engine.library.other_process import line, python


def test_a_pack_whose_vectors_have_another_length_is_a_bug(tmp_path: Path) -> None:
    open_library(tmp_path / "library").close()
    with pytest.raises(ValueError, match="length 8"):
        SqliteLibrary.open(tmp_path / "library", "test-pack", PACK, DIM + 1)


def test_what_happens_a_million_times_is_found_through_an_index(
    root: Path, tmp_path: Path, connections: list[sqlite3.Connection]
) -> None:
    store = open_library(tmp_path / "library")
    (connection,) = connections
    index_folder(store, root)
    (root / "rain.wav").rename(root / "weather.wav")
    seen: list[str] = []
    connection.set_trace_callback(seen.append)
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id)
    index_pending(store)
    store.catalogue.finish_scan(store.catalogue.begin_scan(folder_id, [root / "doors"]), [root / "doors"])
    store.work.save_failures([(1, FILE_GONE)])
    store.catalogue.failures(10)
    store.catalogue.status()
    store.catalogue.folders()
    store.catalogue.sound(2)
    best(store, "x")
    rank(
        store,
        "x",
        where=AllOf((Condition(Field.FOLDER, str(root / "doors")), Condition(Field.CHANNELS, 1, Operator.AT_LEAST))),
    )
    vectors_of(store, root / "weather.wav")
    store.catalogue.relink_folder(folder_id, tmp_path / "elsewhere")
    connection.set_trace_callback(None)
    plans = {
        sql: [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql)]
        for sql in set(seen)
        if sql.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "INSERT"))
    }
    store.close()
    assert len(plans) > 15
    scans = {(step, sql) for sql, plan in plans.items() for step in plan if step.startswith("SCAN")}
    few = ("folder", "tally", "json_each", "volume", "worker", "CONSTANT ROW")
    bounded = (*few, "sound USING INDEX sound_failed", "content USING INDEX content_of_file")
    assert not {(step, sql) for step, sql in scans if not step.startswith(tuple(f"SCAN {name}" for name in bounded))}


def test_what_another_process_indexes_is_found(root: Path, tmp_path: Path) -> None:
    store = open_library(tmp_path / "library")
    assert everything(store) == set()
    with python(f"""
store = open_library(Path({str(tmp_path / "library")!r}))
index_folder(store, Path({str(root)!r}))
store.close()
print("done", flush=True)
""") as process:
        assert line(process) == "done"
    assert searchable(store) == 3
    assert everything(store) == {root / "creak.wav", root / "doors/slam.wav", root / "rain.wav"}
    store.close()


def test_a_library_is_one_file_in_write_ahead_mode(library: Path) -> None:
    assert journal(library) == "wal"
    assert [path.name for path in library.parent.iterdir() if path.is_file()] == [library.name]


def journal(library: Path) -> str:
    connection = sqlite3.connect(library)
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    connection.close()
    return str(mode)
