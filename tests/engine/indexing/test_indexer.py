"""Runs of scanning and indexing: folders come and go, drives are unplugged, disks are full."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from engine.errors import KnownError
from engine.indexing.run import Run
from engine.library.types import IndexPhase, IndexSummary, SoundState
from engine.media.drives import Drives
from engine.models.packs import Pack
from engine.models.source import EncoderSource
from engine.service.opening import open_session
from engine.service.session import Session
from tests.tiny_pack import make_pack

if TYPE_CHECKING:
    from engine.models.encoder import Encoder

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return make_pack(tmp_path_factory.mktemp("packs"))


@pytest.fixture
def session(tmp_path: Path, pack: Pack) -> Iterator[Session]:
    session = open_session(tmp_path / "library.foundsound", pack, workers=1)
    yield session
    session.close()


def _write(folder: Path, names: Sequence[str], seconds: float = 0.5) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        seed = sum(name.encode()) + len(str(folder))
        noise = np.random.default_rng(seed).standard_normal(int(RATE_HZ * seconds)) * 0.1
        soundfile.write(folder / name, noise, RATE_HZ)
    return folder


def _run(session: Session, *folder_ids: int) -> IndexSummary:
    session.indexer.begin(folder_ids)
    while session.indexer.step():
        pass
    return session.indexer.summary


def _indexed(session: Session) -> set[str]:
    query = np.eye(1, session.pack.dim, dtype=np.float32)
    return {hit.path.name for hit in session.library.vectors.rank(query, 1000)[0]}


def test_a_folder_that_is_gone_does_not_stop_the_others(session: Session, tmp_path: Path) -> None:
    gone, here = _write(tmp_path / "gone", ["a.wav"]), _write(tmp_path / "here", ["b.wav"])
    ids = [session.add_folder(folder) for folder in (gone, here)]
    _run(session, *ids)
    gone.rename(tmp_path / "unplugged")
    _write(here, ["c.wav"])
    summary = _run(session, *ids)
    assert (summary.indexed, summary.unchanged, summary.missing) == (1, 1, 0)
    assert [problem.kind for problem in session.problems] == ["folder_missing"]
    assert _indexed(session) == {"a.wav", "b.wav", "c.wav"}


def test_sounds_that_wait_on_an_unplugged_drive_go_on_waiting(session: Session, tmp_path: Path) -> None:
    drive = _write(tmp_path / "drive", ["a.wav", "b.wav", "c.wav"])
    folder_id = session.add_folder(drive)
    session.indexer.begin([folder_id])
    while session.indexer.progress.total == 0:
        session.indexer.step()
    session.indexer.cancel()
    drive.rename(tmp_path / "unplugged")
    assert _run(session).failed == 0
    assert [(problem.kind, problem.path) for problem in session.problems] == [("folder_missing", drive)], "told once"
    assert session.library.catalogue.status().counts[SoundState.PENDING] == 3
    (tmp_path / "unplugged").rename(drive)
    assert _run(session, folder_id).indexed == 3


def test_a_file_that_vanishes_from_a_folder_that_is_there_fails(session: Session, tmp_path: Path) -> None:
    folder = _write(tmp_path / "sounds", ["a.wav", "b.wav"])
    session.indexer.begin([session.add_folder(folder)])
    while session.indexer.progress.total == 0:
        session.indexer.step()
    (folder / "a.wav").unlink()
    while session.indexer.step():
        pass
    assert (session.indexer.summary.indexed, session.indexer.summary.failed) == (1, 1)
    assert session.library.catalogue.failures(10)[0].kind == "sound_vanished"


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_a_parent_may_be_added_while_its_child_is_scanned(session: Session, tmp_path: Path, steps: int) -> None:
    parent = _write(tmp_path / "parent", ["a.wav"])
    child = _write(parent / "child", ["b.wav", "c.wav"])
    session.indexer.begin([session.add_folder(child)])
    for _ in range(steps):
        session.indexer.step()
    session.indexer.begin([session.add_folder(parent)])
    while session.indexer.step():
        pass
    assert _indexed(session) == {"a.wav", "b.wav", "c.wav"}
    assert [folder.path for folder in session.library.catalogue.folders()] == [parent]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_another_process_may_add_the_parent_while_the_child_is_scanned(
    session: Session, tmp_path: Path, pack: Pack, steps: int
) -> None:
    child = _write(tmp_path / "sounds" / "doors", ["a.wav", "b.wav"])
    session.indexer.begin([session.add_folder(child)])
    for _ in range(steps):
        session.indexer.step()
    other = open_session(tmp_path / "library.foundsound", pack, workers=1)
    parent = other.add_folder(tmp_path / "sounds")
    other.close()
    while session.indexer.step():
        pass
    assert session.problems == ()
    _run(session, parent)
    assert _indexed(session) == {"a.wav", "b.wav"}


def test_a_file_from_the_far_future(session: Session, tmp_path: Path) -> None:
    folder = _write(tmp_path / "sounds", ["a.wav"])
    os.utime(folder / "a.wav", ns=(0, 20_000_000_000 * 10**9))
    if (folder / "a.wav").stat().st_mtime_ns < 1 << 63:
        pytest.skip("this file system knows no such times")
    assert _run(session, session.add_folder(folder)).indexed == 1
    again = _run(session, 1)
    assert (again.unchanged, again.indexed) == (1, 0)


def test_a_moved_file_is_not_missing(session: Session, tmp_path: Path) -> None:
    folder = _write(tmp_path / "sounds", ["a.wav", "b.wav", "c.wav"])
    folder_id = session.add_folder(folder)
    _run(session, folder_id)
    (folder / "a.wav").rename(folder / "renamed.wav")
    (folder / "b.wav").unlink()
    summary = _run(session, folder_id)
    assert (summary.unchanged, summary.moved, summary.missing) == (1, 1, 1)
    (folder / "renamed.wav").rename(tmp_path / "away.wav")
    _write(folder, ["b.wav"])
    assert _run(session, folder_id).missing == 1, "whatever else has come back"
    assert _run(session, folder_id).missing == 0, "told once"


def test_a_drive_that_does_not_answer_is_given_time_and_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, pack: Pack, tmp_path: Path
) -> None:
    asleep, here = _write(tmp_path / "asleep", ["a.wav"]), _write(tmp_path / "here", ["b.wav"])
    awake = threading.Event()
    drives = Drives(patience_s=0.0, look=lambda path: path != str(asleep) or awake.wait(60.0))
    session = open_session(tmp_path / "library.foundsound", pack, workers=1, drives=drives)
    ids = [session.library.catalogue.add_folder(folder) for folder in (asleep, here)]
    monkeypatch.setattr("engine.indexing.folder_scan.DRIVE_PATIENCE_S", 0.0)
    _run(session, *ids)
    assert [problem.kind for problem in session.problems] == ["folder_no_answer"]
    assert _indexed(session) == {"b.wav"}

    monkeypatch.setattr("engine.indexing.folder_scan.DRIVE_PATIENCE_S", 60.0)
    session.indexer.begin(ids)
    for _ in range(3):
        assert session.indexer.step()
    assert session.indexer.progress.found == 0
    awake.set()
    while session.indexer.step():
        pass
    assert session.problems == ()
    assert _indexed(session) == {"a.wav", "b.wav"}
    session.close()


def test_a_folder_inside_another_is_that_folder(session: Session, tmp_path: Path) -> None:
    parent = _write(tmp_path / "parent", ["a.wav"])
    child = _write(parent / "child", ["b.wav"])
    assert session.add_folder(parent) == session.add_folder(child) == session.add_folder(parent / "x" / "..")


def test_what_waited_is_counted_once_when_a_run_goes_on(session: Session, tmp_path: Path) -> None:
    folder_id = session.add_folder(_write(tmp_path / "sounds", ["a.wav", "b.wav", "c.wav"]))
    session.indexer.begin([folder_id])
    while session.indexer.progress.total == 0:
        session.indexer.step()
    session.indexer.cancel()
    summary = _run(session, folder_id)
    assert (summary.indexed, summary.unchanged) == (3, 0)
    assert _run(session, folder_id).unchanged == 3


def test_a_folder_added_while_indexing_joins_the_run(session: Session, tmp_path: Path) -> None:
    first, second = _write(tmp_path / "first", ["a.wav"]), _write(tmp_path / "second", ["b.wav", "c.wav"])
    session.indexer.begin([session.add_folder(first)])
    while session.indexer.progress.total == 0:
        session.indexer.step()
    session.indexer.step()
    session.indexer.begin([session.add_folder(second)])
    while session.indexer.step():
        pass
    assert session.indexer.summary.indexed == 3
    assert session.indexer.progress.done == session.indexer.progress.total == 3


def test_a_full_disk_ends_the_run_and_the_next_takes_it_up(session: Session, tmp_path: Path) -> None:
    folder_id = session.add_folder(_write(tmp_path / "sounds", [f"{index}.wav" for index in range(40)]))
    connection: sqlite3.Connection = session.library.catalogue._db.conn  # type: ignore[attr-defined]
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(KnownError) as caught:
        _run(session, folder_id)
    assert caught.value.kind == "disk_full"
    assert not session.indexer.running
    connection.execute("PRAGMA max_page_count = 1000000")
    _run(session, folder_id)
    assert session.library.catalogue.status().counts[SoundState.INDEXED] == 40


class _Levels:
    """An encoder that reports the peak by which each block is normalised."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.peaks: list[float] = []

    def frames(self, waveforms: Sequence[NDArray[np.float32]], peaks: Sequence[float]) -> list[NDArray[np.float32]]:
        self.peaks += peaks
        return [np.ones((len(waveform) // self.pack.frame_samples + 1, 2), np.float32) for waveform in waveforms]

    def audio_vectors(self, segments: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.tile(np.eye(1, self.pack.dim, dtype=np.float32), (len(segments), 1))


class _Loaded(EncoderSource):
    """An encoder that is there already."""

    def __init__(self, encoder: _Levels) -> None:
        super().__init__(encoder.pack)
        self._encoder = cast("Encoder", encoder)

    def ready(self) -> Encoder:
        return self._encoder

    def get(self) -> Encoder:
        return self._encoder


class _Forbidden(EncoderSource):
    """No encoder may be asked for."""

    def start(self) -> None:
        raise AssertionError("the models were loaded")


def test_what_needs_no_vector_loads_no_model(tmp_path: Path, pack: Pack) -> None:
    folder = _write(tmp_path / "sounds", [f"{index}.wav" for index in range(40)])
    first = open_session(tmp_path / "library.foundsound", pack, workers=1)
    _run(first, first.add_folder(folder))
    first.close()
    folder.rename(tmp_path / "moved")
    session = open_session(tmp_path / "library.foundsound", pack, workers=1, encoders=_Forbidden(pack))
    summary = _run(session, session.add_folder(tmp_path / "moved"))
    assert (summary.moved, summary.indexed, summary.failed) == (40, 0, 0)
    session.close()


def test_two_runs_started_together_embed_each_sound_once(tmp_path: Path, pack: Pack) -> None:
    folder = _write(tmp_path / "sounds", [f"{index:03}.wav" for index in range(150)], seconds=0.2)
    sessions = [open_session(tmp_path / "library.foundsound", pack, workers=1) for _ in range(2)]
    for session in sessions:
        session.indexer.begin([session.add_folder(folder)])
    while going := [session for session in sessions if session.indexer.running]:
        for session in going:
            session.indexer.step()
    done = [session.indexer.summary.indexed for session in sessions]
    assert sum(done) == 150
    assert min(done) > 0
    assert sessions[0].library.catalogue.status().counts[SoundState.INDEXED] == 150
    for session in sessions:
        session.close()


def test_what_another_process_is_at_is_left_to_it(session: Session, tmp_path: Path, pack: Pack) -> None:
    folder_id = session.add_folder(_write(tmp_path / "sounds", ["a.wav", "b.wav", "c.wav"]))
    session.indexer.begin([folder_id])
    while session.indexer.progress.total == 0:
        session.indexer.step()
    session.indexer.cancel()
    other = open_session(tmp_path / "library.foundsound", pack)
    assert len(other.library.work.claim(2)) == 2
    summary = _run(session)
    assert (summary.indexed, summary.elsewhere) == (1, 2)
    other.close()
    assert _run(session).indexed == 2


def test_a_place_is_scanned_without_the_rest(session: Session, tmp_path: Path) -> None:
    folder = _write(tmp_path / "sounds", ["a.wav", "b.wav"])
    _write(folder / "sub", ["c.wav", "d.wav"])
    _run(session, session.add_folder(folder))
    for name in ("a.wav", "sub/c.wav"):
        (folder / name).unlink()
    _write(folder, ["e.wav", "f.wav"])
    session.indexer.begin([], [folder / "sub", folder / "e.wav"])
    while session.indexer.step():
        pass
    assert (session.indexer.summary.missing, session.indexer.summary.indexed) == (1, 1)
    assert _indexed(session) == {"a.wav", "b.wav", "d.wav", "e.wav"}
    session.indexer.begin([], [folder / "a.wav", tmp_path / "elsewhere"])
    while session.indexer.step():
        pass
    assert _indexed(session) == {"b.wav", "d.wav", "e.wav"}


def test_time_left_falls_as_sounds_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(phase=IndexPhase.INDEXING, done=10, total=40, embedding_s=5.0)
    assert run.remaining_s == pytest.approx(15.0)
    run.done = 30
    assert run.remaining_s == pytest.approx(5.0 / 3)
    run.done = 9
    assert run.remaining_s is None


def test_verifying_finds_what_was_replaced_in_place(session: Session, tmp_path: Path) -> None:
    folder = _write(tmp_path / "sounds", ["a.wav", "b.wav"])
    folder_id = session.add_folder(folder)
    _run(session, folder_id)
    before = session.library.vectors.rank(np.eye(1, session.pack.dim, dtype=np.float32), 9)[0]
    status = (folder / "a.wav").stat()
    noise = np.random.default_rng(99).standard_normal(int(RATE_HZ * 0.5)) * 0.1
    soundfile.write(folder / "a.wav", noise, RATE_HZ)
    os.utime(folder / "a.wav", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (folder / "a.wav").stat().st_size == status.st_size
    assert _run(session, folder_id).unchanged == 2
    session.library.catalogue.verify_all()
    assert _indexed(session) == {"a.wav", "b.wav"}, "they can be searched meanwhile"
    summary = _run(session, folder_id)
    assert (summary.indexed, summary.unchanged) == (1, 3), "one anew, one recognised, two met by the scan"
    after = session.library.vectors.rank(np.eye(1, session.pack.dim, dtype=np.float32), 9)[0]
    scores = [{hit.path.name: hit.score for hit in hits} for hits in (before, after)]
    assert scores[0]["a.wav"] != scores[1]["a.wav"]
    assert scores[0]["b.wav"] == scores[1]["b.wav"]


def test_decoding_never_runs_far_ahead_of_embedding(tmp_path: Path, pack: Pack) -> None:
    (tmp_path / "sounds").mkdir()
    noise = np.random.default_rng(0).uniform(-1, 1, pack.sample_rate_hz * 60).astype(np.float32)
    with soundfile.SoundFile(tmp_path / "sounds" / "long.wav", "w", pack.sample_rate_hz, 1) as file:
        for _ in range(40):
            file.write(noise)
    encoders = _Loaded(_Levels(pack))
    session = open_session(tmp_path / "library.foundsound", pack, workers=1, encoders=encoders)
    session.indexer.begin([session.add_folder(tmp_path / "sounds")])
    most_s = 0.0
    while session.indexer.step():
        embedder = session.indexer._run.embedder
        most_s = max(most_s, embedder.ready_s if embedder else 0.0)
    assert session.indexer.summary.audio_s == pytest.approx(2400, abs=1)
    assert 0 < most_s < 400
    session.close()


def test_quiet_stretches_of_a_long_sound_are_raised_but_room_tone_is_not(tmp_path: Path, pack: Pack) -> None:
    block_s = pack.block_samples / pack.sample_rate_hz
    levels = [1.0, 0.5, 0.001]
    noise = np.random.default_rng(0).uniform(-1, 1, (3, int(block_s * pack.sample_rate_hz)))
    noise /= np.abs(noise).max(axis=1, keepdims=True)
    samples = np.concatenate([part * level for part, level in zip(noise, levels, strict=True)])
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "long.wav", samples, pack.sample_rate_hz, subtype="FLOAT")
    encoder = _Levels(pack)
    session = open_session(tmp_path / "library.foundsound", pack, workers=1, encoders=_Loaded(encoder))
    _run(session, session.add_folder(tmp_path / "sounds"))
    assert encoder.peaks == pytest.approx([1.0, 0.5, 0.1], rel=0.01)
    session.close()
