"""How numbers, times and errors read."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop import wording
from engine.errors import ErrorKind
from engine.library.types import IndexPhase, IndexProgress, IndexSummary
from tests.fakes import make_folder, make_hit

KIND_PLACES = {"KnownError": 0, "ScanProblem": 1}
"""Which argument of those that are made with a kind is the kind."""

COMMAND_LINE_ONLY = ("cli", "training")
"""What of the engine the desktop never runs."""


@pytest.mark.parametrize(
    ("time_s", "decimals", "text"),
    [
        (0, 1, "0:00.0"),
        (0.04, 1, "0:00.0"),
        (4.26, 1, "0:04.3"),
        (59.96, 1, "1:00.0"),
        (750, 1, "12:30.0"),
        (3599.99, 1, "1:00:00"),
        (3723.4, 1, "1:02:03"),
        (65.4, 0, "1:05"),
        (-1, 1, "0:00.0"),
    ],
)
def test_clock(time_s: float, decimals: int, text: str) -> None:
    assert wording.clock(time_s, decimals) == text


@given(st.floats(0, 3599, allow_nan=False))
def test_clock_is_never_off_by_more_than_half_its_last_digit(time_s: float) -> None:
    minutes, seconds = wording.clock(time_s).split(":")
    assert 0 <= float(seconds) < 60
    assert math.isclose(int(minutes) * 60 + float(seconds), time_s, abs_tol=0.0501)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 sounds"), (1, "1 sound"), (2, "2 sounds"), (25202, "25,202 sounds")]
)
def test_quantity(number: int, text: str) -> None:
    assert wording.quantity(number, "sound") == text


def test_the_match_is_given_unless_it_is_the_whole_sound() -> None:
    assert wording.matched_span(make_hit(start_s=5, end_s=15, duration_s=60)) == "0:05 – 0:15"
    assert wording.matched_span(make_hit(start_s=0, end_s=1.98, duration_s=2)) == ""


def test_speed_and_time_left_while_indexing() -> None:
    progress = IndexProgress(IndexPhase.INDEXING, 0, 1243, 4120, 3, 212.4, 780.0)
    assert wording.progress_rate(progress) == "212× real time  ·  about 13 min left"
    assert wording.progress_counts(progress) == "1,243 of 4,120 sounds"


def test_no_speed_is_claimed_while_there_is_none() -> None:
    assert wording.progress_rate(IndexProgress(IndexPhase.INDEXING)) == ""
    assert wording.progress_rate(IndexProgress(IndexPhase.PAUSED, speed_x=100, remaining_s=5)) == ""


def test_scanning_counts_what_is_found() -> None:
    assert wording.progress_counts(IndexProgress(IndexPhase.SCANNING, found=311)) == "311 sounds found"


@pytest.mark.parametrize("phase", IndexPhase)
def test_every_phase_has_a_title(phase: IndexPhase) -> None:
    assert bool(wording.progress_title(IndexProgress(phase))) == (phase is not IndexPhase.IDLE)


@pytest.mark.parametrize(
    ("remaining_s", "text"),
    [
        (None, ""),
        (3, "under a minute left"),
        (59, "under a minute left"),
        (150, "about 2 min left"),
        (5000, "about 83 min left"),
        (9000, "about 2.5 h left"),
    ],
)
def test_time_left(remaining_s: float | None, text: str) -> None:
    assert wording.time_left(remaining_s) == text


@pytest.mark.parametrize(("time_s", "text"), [(0.84, "0.8 s"), (42, "42 s"), (300, "5 min"), (7560, "2.1 h")])
def test_time_taken(time_s: float, text: str) -> None:
    assert wording.time_taken(time_s) == text


def test_slow_speeds_keep_a_decimal() -> None:
    assert wording.speed(3.14) == "3.1× real time"


@pytest.mark.parametrize(
    ("done", "lines"),
    [
        (IndexSummary(indexed=1240, failed=3, elapsed_s=120), ("1,240 sounds added in 2 min", "3 not readable")),
        (IndexSummary(moved=2, missing=1, unchanged=9), ("", "2 moved  ·  1 missing")),
        (IndexSummary(unchanged=5), ("5 sounds, nothing new", "")),
        (IndexSummary(), ("", "")),
    ],
)
def test_summary(done: IndexSummary, lines: tuple[str, str]) -> None:
    assert wording.summary(done) == lines


def test_folder_counts() -> None:
    assert wording.folder_counts(make_folder(sounds=10, indexed=10)) == "10 sounds"
    assert wording.folder_counts(make_folder(sounds=10, indexed=4, failed=1)) == "4 of 10"
    assert wording.folder_counts(make_folder(available=False)) == "Not available now"


def test_a_trail_begins_at_the_library_folder() -> None:
    roots = (Path("/media/SFX"), Path("/home/anna/Foley"))
    assert wording.parent_trail(Path("/home/anna/Foley/Doors/Wood/a.wav"), roots) == "Foley › Doors › Wood"
    assert wording.parent_trail(Path("/media/SFX/a.wav"), roots) == "SFX"
    assert wording.parent_trail(Path("/elsewhere/a.wav"), roots) == str(Path("/elsewhere"))


def kinds_raised() -> set[ErrorKind]:
    """The kinds of all known errors made in the source that the desktop runs."""
    root = Path(wording.__file__).parents[1]
    kinds = set()
    for path in [*(root / "engine").rglob("*.py"), *(root / "desktop").rglob("*.py")]:
        if any(path.is_relative_to(root / "engine" / part) for part in COMMAND_LINE_ONLY):
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in KIND_PLACES:
                kind = call.args[KIND_PLACES[call.func.id]]
                assert isinstance(kind, ast.Attribute), f"{path}:{call.lineno}: a kind must be plain to see"
                if isinstance(kind.value, ast.Name) and kind.value.id == "ErrorKind":
                    kinds.add(ErrorKind[kind.attr])
                else:
                    assert kind.attr == "kind", f"{path}:{call.lineno}: a kind must be plain to see"
    return kinds


def test_every_kind_of_error_has_words_of_its_own_and_no_other_has() -> None:
    assert kinds_raised() == set(wording.ERROR_TITLES)


def test_errors_of_an_older_version_still_have_a_title() -> None:
    assert wording.error_title("library_locked") == "The library is in use"
    assert wording.error_title("flux_capacitor_empty") == "Flux capacitor empty"


def test_sample_format() -> None:
    assert wording.sample_format(make_hit()) == "48 kHz stereo"
