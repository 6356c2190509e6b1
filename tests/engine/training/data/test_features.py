"""Cached features of the frozen encoders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import KnownError
from engine.models.frontend import AISFX, LogMel
from engine.models.text import TextEncoder
from engine.training.data import features
from tests.engine.training.tiny import text_folder, tiny_cnn, tone

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here"))]


def _ragged(folder: Path, lengths: Sequence[int]) -> features.Ragged:
    """Random rows of width 3."""
    rng = np.random.default_rng(len(lengths))
    with features.written(folder) as add:
        add([rng.standard_normal((length, 3)).astype(np.float16) for length in lengths])
    return features.Ragged(folder)


@pytest.fixture
def sounds(tmp_path: Path) -> features.Files:
    lengths = (1.0, 0.02, 2.5)
    return features.Files([tone(tmp_path / f"{index}.wav", 440, seconds) for index, seconds in enumerate(lengths)])


def test_rows_equal_single_runs_whatever_their_batch(tmp_path: Path, sounds: features.Files) -> None:
    cnn, frontend = tiny_cnn(), LogMel(AISFX)
    rows = features.cnn_frames(sounds, frontend, cnn, tmp_path / "cache")
    assert rows.lengths.tolist() == [(1 + 44_100 // 1024) // 8, 1, (1 + 110_250 // 1024) // 8]
    for index in range(3):
        waveform = sounds.load(index, 44_100)
        alone = features.frames_of([np.pad(waveform, (0, max(0, 7 * 1024 - len(waveform))))], frontend, cnn)[0]
        np.testing.assert_allclose(rows.row(index), alone, atol=2e-2)
    batch, lengths = features.View.joined([rows]).batch(np.array([2, 1]))
    assert batch.shape == (2, int(rows.lengths[2]), 8)
    assert lengths.tolist() == [rows.lengths[2], 1]
    assert not batch[1, 1:].any()


def test_computed_once_and_again_when_weights_or_files_change(tmp_path: Path, sounds: features.Files) -> None:
    calls: list[int] = []
    cache = tmp_path / "cache"

    def run(seed: int, files: features.Files) -> features.Ragged:
        return features.cnn_frames(files, LogMel(AISFX), tiny_cnn(seed), cache, lambda done, total: calls.append(done))

    first = run(0, sounds)
    again = run(0, sounds)
    np.testing.assert_array_equal(first.row(0), again.row(0))
    assert calls == [3]
    run(1, sounds)
    assert calls == [3, 3]
    tone(tmp_path / "0.wav", 880, 1.1)
    run(0, features.Files([tmp_path / f"{index}.wav" for index in range(3)]))
    assert calls == [3, 3, 3]


def test_a_failed_run_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"not a sound")
    bad = features.Files([tone(tmp_path / "good.wav", 440, 0.5), tmp_path / "bad.wav"])
    with pytest.raises(KnownError, match=r"bad\.wav"):
        features.cnn_frames(bad, LogMel(AISFX), tiny_cnn(), tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    with pytest.raises(KnownError, match=r"none\.wav"):
        features.Files([tmp_path / "none.wav"])


def test_token_states_are_kept_caption_by_caption(tmp_path: Path) -> None:
    encoder = TextEncoder.load(text_folder(tmp_path / "text"))
    computed: list[int] = []

    def states(captions: list[str]) -> features.View:
        return features.token_states(captions, encoder, tmp_path / "cache", lambda done, total: computed.append(total))

    first = states(["a dog barks", "rain"])
    both = states(["rain", "rain falls and a cat", "a dog barks"])
    assert computed == [2, 1]
    np.testing.assert_array_equal(both.row(0), first.row(1))
    np.testing.assert_array_equal(both.row(2), first.row(0))
    with torch.inference_mode():
        alone, _ = encoder(["a dog barks"])
    np.testing.assert_allclose(first.row(0), alone[0].numpy(), atol=2e-3)
    assert first.lengths.tolist() == [5, 3]


def test_weights_hash_sees_values_names_and_shapes() -> None:
    state = {"a": torch.zeros(2), "b": torch.ones(1)}
    same = {"b": torch.ones(1), "a": torch.zeros(2)}
    assert features.weights_hash(state) == features.weights_hash(same)
    for other in (
        {"a": torch.zeros(2), "b": torch.full((1,), 2.0)},
        {"a": torch.zeros(1, 2), "b": torch.ones(1)},
        {"a": torch.zeros(2), "c": torch.ones(1)},
    ):
        assert features.weights_hash(state) != features.weights_hash(other)


def test_only_the_start_of_each_sound(tmp_path: Path) -> None:
    path = tone(tmp_path / "long.wav", 440, 2.0)
    whole, start = features.Files([path]), features.Files([path], seconds=0.5)
    np.testing.assert_array_equal(start.load(0, 44_100), whole.load(0, 44_100)[:22_050])
    assert start.identity != whole.identity


def test_log_mels_are_what_the_front_end_makes(tmp_path: Path, sounds: features.Files) -> None:
    frontend = LogMel(AISFX)
    rows = features.log_mels(sounds, frontend, 8, tmp_path / "cache")
    assert rows.lengths.tolist() == [1 + 44_100 // 1024, 8, 1 + 110_250 // 1024]
    np.testing.assert_allclose(rows.row(2), frontend([sounds.load(2, 44_100)])[0][0], atol=1e-3)


def test_token_numbers_are_those_of_the_encoder(tmp_path: Path) -> None:
    encoder = TextEncoder.load(text_folder(tmp_path / "text"))
    tokens = features.Tokens(["a dog barks", "rain"], encoder)
    batch, lengths = tokens.batch(np.array([1, 0]))
    assert lengths.tolist() == [3, 5]
    with torch.inference_mode():
        wanted, _ = encoder(["rain", "a dog barks"])
        states = encoder.states(batch.squeeze(2), lengths)
    torch.testing.assert_close(states[0, :3], wanted[0, :3])
    torch.testing.assert_close(states[1], wanted[1])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("indices", [[0], [3, 1], [4, 0, 0, 2], [0, 1, 2, 3, 4]])
def test_held_rows_make_the_very_batches_of_their_view(tmp_path: Path, device: str, indices: list[int]) -> None:
    one, two = _ragged(tmp_path / "one", [2, 5, 1]), _ragged(tmp_path / "two", [4, 3])
    view = features.View([(two, 1), (one, 2), (one, 0), (two, 0), (one, 1)])
    held = features.Held(view, device)
    assert (held.lengths.tolist(), held.width) == ([3, 1, 2, 4, 5], 3)
    rows, lengths = held.batch(np.array(indices))
    wanted, known = view.batch(np.array(indices))
    assert (rows.device.type, rows.dtype, lengths.device.type) == (device, torch.float32, "cpu")
    assert rows.cpu().equal(wanted)
    assert lengths.equal(known)


def test_rows_are_held_if_they_take_at_most_half_of_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = features.View.joined([_ragged(tmp_path / "rows", [2, 5])])
    room = 2 * (7 * view.width * 2)
    for free, is_held in ((room, True), (room - 1, False)):
        monkeypatch.setattr(features, "_free_bytes", lambda _, free=free: free)
        assert isinstance(features.to_device(view, "cpu"), features.Held) == is_held


def test_token_numbers_are_not_held(tmp_path: Path) -> None:
    tokens = features.Tokens(["a dog barks"], TextEncoder.load(text_folder(tmp_path / "text")))
    assert features.to_device(tokens, "cpu") is tokens


def test_rows_can_be_read_once_all_are_written(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.float16).reshape(4, 6)
    with features.written(tmp_path / "rows") as add:
        add([values[:2], values[3:, ::-1]])
        add([])
        add([values])
        with pytest.raises(FileNotFoundError):
            features.Ragged(tmp_path / "rows")
    rows = features.Ragged(tmp_path / "rows")
    assert (len(rows), rows.lengths.tolist(), rows.width) == (3, [2, 1, 4], 6)
    for index, wanted in enumerate((values[:2], values[3:, ::-1], values)):
        np.testing.assert_array_equal(rows.row(index), wanted)


def test_a_folder_appears_with_all_that_it_holds(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "rows"
    with features.atomic_folder(folder) as partial:
        (partial / "note").write_text("whole")
        assert [path.name for path in folder.parent.iterdir()] == [partial.name]
        assert partial.suffix == features.PARTIAL
    assert (folder / "note").read_text() == "whole"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_whose_filling_fails_never_appears(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), features.atomic_folder(tmp_path / "cache" / "rows") as partial:
        (partial / "note").rename(tmp_path / "moved")
    assert not list((tmp_path / "cache").iterdir())


def test_a_folder_that_another_process_filled_meanwhile_stays(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "rows"
    with features.atomic_folder(folder) as one, features.atomic_folder(folder) as other:
        (one / "note").write_text("slower")
        (other / "note").write_text("quicker")
    assert (folder / "note").read_text() == "quicker"
    assert list(folder.parent.iterdir()) == [folder]
