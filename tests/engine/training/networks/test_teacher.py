"""What a teacher makes of sounds, kept like the encoders' features."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import KnownError
from engine.training.data.features import Files
from engine.training.networks import teacher
from engine.training.networks.teacher import Teacher
from tests.engine.training.networks import teacher as tiny
from tests.engine.training.tiny import tone

RATE_HZ = 8_000
PATIENCE_S = 30.0
REAL = Path(__file__).parents[5] / "shared" / "teacher" / "mn04_as.onnx"


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "teacher.onnx")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.float32]]:
    """What teachers hear."""
    noted: list[NDArray[np.float32]] = []
    answer = Teacher.forward

    def forward(self: Teacher, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        noted.append(waveforms.numpy())
        return answer(self, waveforms)

    monkeypatch.setattr(Teacher, "forward", forward)
    torch.set_num_threads(1)  # one after the other
    return noted


@pytest.fixture
def sounds(tmp_path: Path) -> Files:
    return Files([tone(tmp_path / f"{index}.wav", 440, seconds) for index, seconds in enumerate((0.1, 1.0))])


def test_sounds_reach_it_at_their_full_scale_and_half_a_second_long_at_least(
    model: Path, sounds: Files, heard: list[NDArray[np.float32]]
) -> None:
    logits = teacher.listen(sounds, model, RATE_HZ, model.parent / "cache").logits
    assert [waveform.shape for waveform in heard] == [(1, RATE_HZ // 2), (1, RATE_HZ)]
    assert [float(np.abs(waveform).max()) for waveform in heard] == pytest.approx([1.0, 1.0])
    for row, waveform in zip(logits, heard, strict=True):
        _, chances = tiny.answers(model, waveform)
        np.testing.assert_allclose(row, np.log(chances[0] / (1 - chances[0])), rtol=2e-3, atol=1e-3)


def test_logits_stay_finite_however_sure_it_is(
    model: Path, sounds: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sure = torch.tensor([[0.0, 1.0, 0.5, 1.0, 0.0]])
    monkeypatch.setattr(Teacher, "forward", lambda *_: (torch.zeros(1, 2, tiny.WIDTH), sure))
    logits = teacher.listen(sounds, model, RATE_HZ, tmp_path / "cache").logits
    np.testing.assert_allclose(logits, [[-16.1, 16.1, 0.0, 16.1, -16.1]] * 2, atol=0.2)


def test_frames_are_kept_as_they_are(model: Path, sounds: Files, heard: list[NDArray[np.float32]]) -> None:
    frames = teacher.listen(sounds, model, RATE_HZ, model.parent / "cache").frames
    assert (frames.lengths.tolist(), frames.width) == ([2, 5], tiny.WIDTH)
    assert len(heard) == 2
    for index, waveform in enumerate(heard):
        expected, _ = tiny.answers(model, waveform)
        np.testing.assert_allclose(frames.row(index), expected[0], rtol=1e-3, atol=1e-3)


def test_it_is_asked_once_until_it_or_the_sounds_change(
    model: Path, sounds: Files, heard: list[NDArray[np.float32]], tmp_path: Path
) -> None:
    cache = model.parent / "cache"
    for _ in range(2):
        teacher.listen(sounds, model, RATE_HZ, cache)
    assert len(heard) == 2
    tiny.write(model, seed=1)
    teacher.listen(sounds, model, RATE_HZ, cache)
    assert len(heard) == 4
    teacher.listen(sounds, model, RATE_HZ // 2, cache)
    assert len(heard) == 6
    teacher.listen(Files([tone(tmp_path / "2.wav", 440, 0.5)]), model, RATE_HZ, cache)
    assert len(heard) == 7


class Noises:
    """As many as asked for; the first is not to be had before the fourth."""

    identity: object = "noises"

    def __init__(self, count: int) -> None:
        self._count = count
        self._fourth = Event()

    def __len__(self) -> int:
        return self._count

    def load(self, index: int, sample_rate_hz: int) -> NDArray[np.float32]:
        if index == 3:
            self._fourth.set()
        elif index == 0:
            assert self._fourth.wait(PATIENCE_S), "nobody loads the fourth meanwhile"
        noise = np.random.default_rng(index).uniform(-1.0, 1.0, sample_rate_hz * (2 + index % 3) // 4)
        return np.asarray(noise / np.abs(noise).max(), dtype=np.float32)


def test_threads_keep_the_order_of_the_sounds(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(4)
    monkeypatch.setattr("engine.training.data.features.CHUNK", 16)
    sounds, told = Noises(40), list[tuple[int, int]]()
    found = teacher.listen(sounds, model, RATE_HZ, tmp_path / "cache", lambda *state: told.append(state))
    assert told == [(16, 40), (32, 40), (40, 40)]
    assert len(found.frames) == len(found.logits) == 40
    for index, logits in enumerate(found.logits):
        frames, chances = tiny.answers(model, sounds.load(index, RATE_HZ)[None])
        np.testing.assert_allclose(found.frames.row(index), frames[0], rtol=1e-3, atol=1e-2)
        np.testing.assert_allclose(logits, np.log(chances[0] / (1 - chances[0])), rtol=2e-3, atol=1e-2)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_sound_that_cannot_be_read_stops_it_and_leaves_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    torch.set_num_threads(threads)
    paths = [tone(tmp_path / f"{index}.wav", 440, 0.1) for index in range(12)]
    paths[5].write_bytes(b"not a sound")
    with pytest.raises(KnownError, match=r"5\.wav"):
        teacher.listen(Files(paths), model, RATE_HZ, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_it_leaves_torch_as_many_threads_as_before(model: Path, sounds: Files, tmp_path: Path) -> None:
    torch.set_num_threads(2)
    teacher.listen(sounds, model, RATE_HZ, tmp_path / "cache")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == torch.get_num_threads() == 2


def test_it_answers_to_a_batch_as_to_each_sound(model: Path) -> None:
    waveforms = torch.rand(3, 8_000, generator=torch.Generator().manual_seed(0))
    frames, probabilities = Teacher(model)(waveforms)
    assert (frames.shape, probabilities.shape) == ((3, 5, tiny.WIDTH), (3, tiny.CLASSES))
    for found, expected in zip((frames, probabilities), tiny.answers(model, waveforms.numpy()), strict=True):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-4)
        assert not found[0].equal(found[1])


@pytest.mark.parametrize("outputs", [["frames"], ["probabilities", "waves"]])
def test_a_model_without_frames_and_probabilities_is_named(model: Path, outputs: list[str]) -> None:
    graph = onnx.load(str(model))
    for name, output in zip(outputs, graph.graph.output, strict=False):
        for node in graph.graph.node:
            node.output[:] = [name if each == output.name else each for each in node.output]
            node.input[:] = [name if each == output.name else each for each in node.input]
        output.name = name
    del graph.graph.output[len(outputs) :]
    onnx.save(graph, str(model))
    with pytest.raises(KnownError, match=r"teacher\.onnx .*frames and probabilities") as caught:
        Teacher(model)
    assert caught.value.kind == "teacher_unreadable"


@pytest.mark.skipif(not REAL.exists(), reason="no teacher in ../shared/teacher here")
def test_the_real_teacher_gives_its_known_answer() -> None:
    """To a sweep and to noise, as onnxruntime 1.31.1 gave it."""
    at = np.arange(64_000) / 32_000
    sweep = np.sin(2 * np.pi * (200.0 * at + 900.0 * at**2))
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, 64_000)
    frames, probabilities = Teacher(REAL)(torch.from_numpy(np.stack([sweep, noise]).astype(np.float32)))
    assert (frames.shape, probabilities.shape) == ((2, 7, 384), (2, 527))
    likeliest = probabilities.topk(4)
    assert likeliest.indices.tolist() == [[137, 503, 213, 498], [515, 520, 513, 293]]
    np.testing.assert_allclose(
        likeliest.values, [[0.134361, 0.059121, 0.04261, 0.042177], [0.410848, 0.257887, 0.191674, 0.046163]], atol=2e-5
    )
    np.testing.assert_allclose(
        frames[:, ::3, :2],
        [
            [[-0.235403, 0.67936], [-0.320348, 0.180824], [-0.144571, 0.255801]],
            [[-0.326495, -0.093314], [-0.233589, 0.391231], [-0.219144, 0.451717]],
        ],
        atol=5e-4,
    )
    np.testing.assert_allclose(
        frames.norm(dim=2),
        [
            [8.330853, 7.738186, 6.653855, 5.264041, 5.469461, 6.029060, 6.637771],
            [7.831863, 6.378875, 5.923490, 6.397416, 6.316317, 6.284714, 5.394129],
        ],
        rtol=5e-4,
    )
