"""Distillation: its losses by hand, its course, and what a run leaves when it stops or diverges."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from engine.errors import KnownError
from engine.models.cnn import Cnn, CnnConfig
from engine.models.frontend import AISFX, LogMel
from engine.models.precision import reduced_precision
from engine.models.tied_layers import TiedConfig, TiedLayers
from engine.training import distil as distilling
from engine.training.data.audio_cache import AudioCache
from engine.training.data.scene_batches import normalise, resample
from engine.training.distil import DistilConfig, DistilProgress, _Listening, _Run, _schedule, distil
from engine.training.networks.checkpoints import convert_cnn
from engine.training.networks.student import Examples, Student
from engine.training.networks.teacher import Teacher
from tests.engine.training.networks import teacher
from tests.engine.training.tiny import TINY_CNN, tiny_cnn, tone

CONFIG = DistilConfig(
    Path("manifest.csv"),
    Path("teacher.onnx"),
    crops_s=(0.4,),
    batch_s=0.8,
    steps=6,
    warm_up_steps=1,
    frozen_norm_steps=2,
    checkpoint_every=2,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other take longer than such small layers do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cache(tmp_path: Path) -> AudioCache:
    for index in range(3):
        tone(tmp_path / f"{index}.wav", 300 * (index + 1), 0.5)
    return AudioCache.build(tmp_path / "cache", [tmp_path / f"{index}.wav" for index in range(3)], 44_100)


@pytest.fixture
def held_out(tmp_path: Path) -> AudioCache:
    """Longer than the longest crop of ``crops_s``, shorter than the shortest, and twice in between."""
    rng = np.random.default_rng(0)
    for index, seconds in enumerate((1.3, 0.2, 0.6, 0.5)):
        swelling = rng.uniform(-1.0, 1.0, round(seconds * 44_100)) * np.linspace(0.1, 1.0, round(seconds * 44_100))
        soundfile.write(tmp_path / f"held out {index}.wav", swelling, 44_100)
    return AudioCache.build(tmp_path / "held out", [tmp_path / f"held out {index}.wav" for index in range(4)], 44_100)


@pytest.fixture
def config(tmp_path: Path) -> DistilConfig:
    """With a teacher that is there."""
    return replace(CONFIG, teacher=teacher.write(tmp_path / "teacher.onnx"))


def _run(output: Path, config: DistilConfig = CONFIG, seed: int = 0, layers: TiedLayers | None = None) -> _Run:
    student = Student(tiny_cnn(seed), teacher.WIDTH, teacher.CLASSES, layers, config.frozen_blocks)
    return _Run(student, config, output, "cpu")


def _layers() -> TiedLayers:
    """Tied layers above the teacher's frames."""
    torch.manual_seed(3)
    return TiedLayers(TiedConfig(teacher.WIDTH, 4, dim=8, layers=1, heads=2, feedforward=8)).eval()


def _examples(seed: int) -> Examples:
    """Random ones without vectors."""
    drawn = torch.Generator().manual_seed(seed)
    log_mel = torch.rand(2, 32, 96, generator=drawn)
    frames = torch.randn(2, 2, teacher.WIDTH, generator=drawn)
    return Examples(log_mel, torch.tensor([32, 32]), frames, torch.rand(2, teacher.CLASSES, generator=drawn), None)


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def _same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return set(one) == set(two) and all(torch.equal(one[name], two[name]) for name in one)


def _answer(run: _Run, logit: float) -> None:
    """Let the student answer (1, 0, 0...) for every frame and ``logit`` for every tag, whatever it hears."""
    with torch.no_grad():
        for head in (run.student.to_frames, run.student.to_tags):
            head.weight.zero_()
        run.student.to_frames.bias.copy_(torch.eye(teacher.WIDTH)[0])
        run.student.to_tags.bias.fill_(logit)


def test_the_losses_by_hand(tmp_path: Path) -> None:
    run = _run(tmp_path / "cnn.safetensors", replace(CONFIG, tag_weight=3.0))
    _answer(run, 2.0)
    wanted = torch.zeros(2, 2, teacher.WIDTH)
    wanted[0, 0, 0] = 7.0  # cosine 1, however long
    wanted[0, 1, 1] = 1.0  # 0
    wanted[1, 0, 0] = -1.0  # -1
    wanted[1, 1, :2] = torch.tensor([3.0, 4.0])  # 0.6
    tags = torch.full((2, teacher.CLASSES), 0.25)
    frame_loss, tag_loss, vector_loss = run.learn(_examples(0)._replace(frames=wanted, tags=tags))
    assert float(vector_loss) == 0.0
    assert float(frame_loss) == pytest.approx(1 - (1 + 0 - 1 + 0.6) / 4)
    chance = 1 / (1 + np.exp(-2.0))
    assert float(tag_loss) == pytest.approx(-0.25 * np.log(chance) - 0.75 * np.log(1 - chance), rel=1e-5)
    slope = run.student.to_tags.bias.grad
    assert slope is not None
    expected = torch.full((teacher.CLASSES,), 3.0 * (chance - 0.25) / teacher.CLASSES)
    torch.testing.assert_close(slope / slope.norm(), expected / expected.norm(), rtol=1e-2, atol=0.0)
    total = torch.cat([value.grad.flatten() for value in run.student.parameters() if value.grad is not None]).norm()
    assert total <= 1.0 + 1e-4


def test_the_tags_count_by_their_weight(tmp_path: Path) -> None:
    slopes = []
    for weight in (0.0, 0.05, 0.1):
        run = _run(tmp_path / "cnn.safetensors", replace(CONFIG, tag_weight=weight))
        _answer(run, 0.0)
        frames = torch.eye(teacher.WIDTH)[0].expand(2, 2, -1)  # as the student answers: nothing left to learn
        run.learn(_examples(0)._replace(frames=frames, tags=torch.ones(2, teacher.CLASSES)))
        slope = run.student.to_tags.bias.grad
        assert slope is not None
        slopes.append(float(slope.sum()))
    assert slopes == pytest.approx([0.0, -0.05 * 0.5, -0.1 * 0.5], rel=1e-2)


def test_the_vectors_count_by_their_weight(tmp_path: Path) -> None:
    slopes = []
    for weight in (0.0, 0.05, 0.1):
        run = _run(
            tmp_path / "cnn.safetensors", replace(CONFIG, tag_weight=0.0, vector_weight=weight), layers=_layers()
        )
        _answer(run, 0.0)
        assert run.student.layers is not None
        with torch.no_grad():
            run.student.layers.audio_projection.weight.fill_(0.1)
        frames = torch.eye(teacher.WIDTH)[0].expand(2, 2, -1)  # as the student answers: nothing left to learn
        run.learn(_examples(0)._replace(frames=frames, vectors=torch.eye(8)[:2]))
        slope = run.student.layers.audio_projection.bias.grad
        assert slope is not None
        slopes.append(float(slope.norm()))
    assert slopes[0] == 0.0
    assert slopes[2] == pytest.approx(2 * slopes[1], rel=1e-2)


def test_the_students_frames_are_averaged_to_the_teachers() -> None:
    student = Student(tiny_cnn(), teacher.WIDTH, teacher.CLASSES).eval()
    examples = _examples(0)
    with torch.no_grad():
        with reduced_precision("cpu"):
            frames, _ = student.cnn(examples.log_mel, examples.lengths)
        assert frames.shape[1] == 4
        pairs = torch.stack([(frames[:, 0] + frames[:, 1]) / 2, (frames[:, 2] + frames[:, 3]) / 2], dim=1)
        chances = torch.sigmoid(student.to_tags(frames.mean(dim=1)))
        found = student.losses(examples._replace(frames=5.0 * student.to_frames(pairs), tags=chances))
        assert float(found.frames) == pytest.approx(0.0, abs=1e-6)
        entropy = -(chances * chances.log() + (1 - chances) * (1 - chances).log()).mean()
        assert float(found.tags) == pytest.approx(float(entropy))


def test_the_vector_is_that_of_the_same_layers_behind_the_students_own_projection(tmp_path: Path) -> None:
    layers = _layers()
    run = _run(tmp_path / "cnn.safetensors", replace(CONFIG, vector_weight=3.0), layers=layers)
    kept = run.student.layers
    assert kept is not None
    wanted = torch.nn.functional.normalize(torch.randn(2, 8), dim=-1)
    examples = _examples(0)._replace(vectors=wanted)
    with torch.no_grad(), reduced_precision("cpu"):
        heard, valid = run.student.learning(norms=False).cnn(examples.log_mel, examples.lengths)
    with torch.no_grad():
        expected = 1.0 - (kept.audio(heard, valid) * wanted).sum(dim=-1).mean()
    losses = run.learn(examples)
    assert float(losses.vectors) == pytest.approx(float(expected), abs=1e-5)
    before, after = layers.state_dict(), kept.state_dict()
    moved = {name for name in before if before[name].shape != after[name].shape or not before[name].equal(after[name])}
    assert moved == {"audio_projection.weight", "audio_projection.bias"}
    with torch.no_grad():
        states, tokens = torch.randn(2, 3, 4), torch.tensor([3, 2])
        torch.testing.assert_close(kept.text(states, tokens), layers.text(states, tokens))


def test_vectors_come_nearer_to_the_teachers(cache: AudioCache, config: DistilConfig, tmp_path: Path) -> None:
    told: list[DistilProgress] = []
    config = replace(config, steps=40, learning_rate=0.01, tag_weight=0.0, ema_decay=0.5)
    output = tmp_path / "cnn.safetensors"
    distil(LogMel(AISFX), tiny_cnn(), cache, config, output, _layers(), progress=told.append)
    assert told[-1].vector_loss < 0.1 < _first_vector_loss(cache, config)
    left = load_file(tmp_path / "cnn.tied.safetensors")
    assert left["audio_projection.weight"].shape == (8, TINY_CNN.widths[-1])
    assert left["text_projection.weight"].equal(_layers().text_projection.weight)


def _first_vector_loss(cache: AudioCache, config: DistilConfig) -> float:
    """Of a student that has learned nothing."""
    layers, student = _layers(), Student(tiny_cnn(), teacher.WIDTH, teacher.CLASSES, _layers()).eval()
    waveforms, frames, tags = _Listening(cache, replace(config, batch_s=3.2), "cpu").batch(0)
    log_mel, lengths = LogMel(AISFX)(list(waveforms.numpy()))
    with torch.no_grad():
        vectors = layers.audio(frames, torch.full((len(frames),), frames.shape[1]))
        return float(student.losses(Examples(log_mel, lengths, frames, tags, vectors)).vectors)


@pytest.mark.parametrize("frozen", [0, 1])
def test_a_norm_of_the_input_is_frozen_like_the_first_block(tmp_path: Path, frozen: int) -> None:
    shape = CnnConfig(96, TINY_CNN.widths, TINY_CNN.pools, "max", input_norm=True)
    student = Student(Cnn(shape), teacher.WIDTH, teacher.CLASSES, frozen_blocks=frozen)
    run = _Run(student, CONFIG, tmp_path / "cnn.safetensors", "cpu")
    means = [_weights(student.cnn.bn0)["running_mean"]]
    for step in range(CONFIG.frozen_norm_steps + 1):
        run.learn(_examples(step))
        means.append(_weights(student.cnn.bn0)["running_mean"])
    assert all(torch.equal(mean, means[0]) for mean in means[:-1])
    assert torch.equal(means[-1], means[0]) == (frozen == 1)
    assert (student.cnn.bn0.weight.grad is None) == (frozen == 1)


def test_frozen_blocks_stay_as_they_are(tmp_path: Path) -> None:
    run = _run(tmp_path / "cnn.safetensors", replace(CONFIG, frozen_blocks=2))
    before = _weights(run.student.cnn)
    for step in range(CONFIG.frozen_norm_steps + 2):
        run.learn(_examples(step))
    after = _weights(run.student.cnn)
    moved = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"conv_block3", "conv_block4"}


def test_batch_norms_keep_to_what_they_know_at_first(tmp_path: Path) -> None:
    run = _run(tmp_path / "cnn.safetensors")
    norms = [module for module in run.student.modules() if isinstance(module, nn.BatchNorm2d)]
    known = [_weights(norm)["running_mean"] for norm in norms]
    scales = [_weights(norm)["weight"] for norm in norms]
    for step in range(CONFIG.frozen_norm_steps):
        run.learn(_examples(step))
        assert all(torch.equal(_weights(norm)["running_mean"], mean) for norm, mean in zip(norms, known, strict=True))
    assert not any(torch.equal(norm.weight, scale) for norm, scale in zip(norms, scales, strict=True))
    run.learn(_examples(9))
    assert not any(torch.equal(_weights(norm)["running_mean"], mean) for norm, mean in zip(norms, known, strict=True))


@pytest.mark.parametrize(
    ("step", "share"),
    [(0, 0.1), (4, 0.5), (9, 1.0), (59, 1.0), (60, 1.0), (80, 0.5), (98, 0.05), (99, 0.025), (100, 0.02), (500, 0.02)],
)
def test_the_learning_rate_warms_up_holds_and_falls(step: int, share: float) -> None:
    config = replace(CONFIG, steps=100, warm_up_steps=10, decay_fraction=0.4)
    assert _schedule(step, config) == pytest.approx(share)


def test_a_run_without_warm_up_or_with_nothing_but_decay() -> None:
    assert _schedule(0, replace(CONFIG, steps=100, warm_up_steps=0)) == 1.0
    assert _schedule(25, replace(CONFIG, steps=100, warm_up_steps=0, decay_fraction=1.0)) == 0.75


def test_the_heads_learn_four_times_as_fast(tmp_path: Path) -> None:
    run = _run(tmp_path / "cnn.safetensors", replace(CONFIG, learning_rate=0.01, warm_up_steps=4))
    run.learn(_examples(0))
    assert [group["lr"] for group in run.optimiser.param_groups] == pytest.approx([0.0025, 0.01])


def test_each_step_moves_the_running_mean(tmp_path: Path) -> None:
    run = _run(tmp_path / "cnn.safetensors", replace(CONFIG, ema_decay=0.15))
    expected = run.student.to_tags.weight.detach().clone()
    for step, decay in enumerate([1 / 10, 0.15, 0.15]):  # 2/11 and 3/12 are more than ema_decay
        run.learn(_examples(step))
        expected = decay * expected + (1 - decay) * run.student.to_tags.weight.detach()
        torch.testing.assert_close(run.average.to_tags.weight.detach(), expected)


@pytest.mark.parametrize("layers", [None, _layers()], ids=["frames", "vectors"])
def test_going_on_takes_up_everything_that_a_step_depends_on(tmp_path: Path, layers: TiedLayers | None) -> None:
    """On the same examples a stopped run ends with the weights of one that was never stopped."""

    def examples(step: int) -> Examples:
        vectors = torch.randn(2, 8, generator=torch.Generator().manual_seed(step))
        return _examples(step)._replace(vectors=nn.functional.normalize(vectors, dim=-1))

    whole = _run(tmp_path / "whole.safetensors", layers=layers)
    first = _run(tmp_path / "cnn.safetensors", layers=layers)
    first.student.load_state_dict(whole.student.state_dict())
    first.average.load_state_dict(whole.average.state_dict())
    for step in range(4):
        whole.learn(examples(step))
    for step in range(3):
        first.learn(examples(step))
    first.report(DistilProgress(3, 0.0, 0.0, 0.0, 0.0, is_checkpoint=True), None)
    second = _run(tmp_path / "cnn.safetensors", seed=5, layers=layers)
    second.resume()
    assert second.step == 3
    second.learn(examples(3))
    assert _same(_weights(second.student), _weights(whole.student))
    assert _same(_weights(second.average), _weights(whole.average))


def test_a_run_does_not_go_on_under_other_layers(tmp_path: Path) -> None:
    run = _run(tmp_path / "cnn.safetensors", layers=_layers())
    run.learn(_examples(0))
    run.report(DistilProgress(1, 0.0, 0.0, 0.0, 0.0, is_checkpoint=True), None)
    other = _layers()
    with torch.no_grad():
        other.text_projection.bias.add_(1.0)
    with pytest.raises(KnownError, match="another configuration"):
        _run(tmp_path / "cnn.safetensors", layers=other).resume()


@pytest.mark.parametrize("layers", [None, _layers()], ids=["frames", "vectors"])
@pytest.mark.parametrize("last_step", [4, 5], ids=["at-a-checkpoint", "behind-a-checkpoint"])
def test_a_run_that_was_stopped_ends_with_the_very_weights_of_one_that_was_not(
    cache: AudioCache,
    config: DistilConfig,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    layers: TiedLayers | None,
    last_step: int,
) -> None:
    config = replace(config, crops_s=(0.4, 0.8), steps=8)
    whole, stopped = tmp_path / "whole" / "cnn.safetensors", tmp_path / "stopped" / "cnn.safetensors"
    distil(LogMel(AISFX), tiny_cnn(), cache, config, whole, layers)
    with monkeypatch.context() as patch:
        _change_answers(patch, last_step, _interrupt)
        with pytest.raises(KeyboardInterrupt):
            distil(LogMel(AISFX), tiny_cnn(), cache, config, stopped, layers)
    assert torch.load(stopped.with_suffix(".checkpoint.pt"), weights_only=True)["step"] == 4
    distil(LogMel(AISFX), tiny_cnn(seed=5), cache, config, stopped, layers)
    assert sorted(path.name for path in whole.parent.iterdir()) == sorted(
        path.name for path in stopped.parent.iterdir()
    )
    for path in whole.parent.glob("*.safetensors"):
        assert _same(load_file(path), load_file(stopped.parent / path.name))
    one, two = (
        torch.load(output.with_suffix(".checkpoint.pt"), weights_only=True)["student"] for output in (whole, stopped)
    )
    assert _same(one, two)


@pytest.mark.parametrize("checkpoint_every", [2, 100], ids=["behind-a-checkpoint", "without-a-checkpoint"])
def test_the_history_of_a_run_that_was_killed_tells_of_each_step_once(
    cache: AudioCache, config: DistilConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, checkpoint_every: int
) -> None:
    monkeypatch.setattr("engine.training.distil.REPORT_EVERY", 1)
    config = replace(config, steps=8, checkpoint_every=checkpoint_every)
    output, history = tmp_path / "cnn.safetensors", tmp_path / "cnn.jsonl"
    with monkeypatch.context() as patch:
        _change_answers(patch, 5, _interrupt)
        with pytest.raises(KeyboardInterrupt):
            distil(LogMel(AISFX), tiny_cnn(), cache, config, output)
    assert len(history.read_text().splitlines()) == 5
    with history.open("a") as file:
        file.write('{"step": 6, "frame')
    distil(LogMel(AISFX), tiny_cnn(), cache, config, output)
    assert [json.loads(line)["step"] for line in history.read_text().splitlines()] == [1, 2, 3, 4, 5, 6, 7, 8]


def _change_answers(patch: pytest.MonkeyPatch, healthy_steps: int, change: Callable[[Tensor], Tensor]) -> None:
    """Change a teacher's probabilities after so many steps; it is asked once before the first."""
    asked, answer = count(), Teacher.forward

    def forward(self: Teacher, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        frames, probabilities = answer(self, waveforms)
        return frames, probabilities if next(asked) <= healthy_steps else change(probabilities)

    patch.setattr(Teacher, "forward", forward)


def _interrupt(_: Tensor) -> Tensor:
    raise KeyboardInterrupt


def _no_numbers(probabilities: Tensor) -> Tensor:
    return torch.full_like(probabilities, torch.nan)


def test_what_is_heard_follows_from_seed_and_step(cache: AudioCache, config: DistilConfig) -> None:
    listening, again = _Listening(cache, config, "cpu"), _Listening(cache, config, "cpu")
    steps = [listening.batch(step) for step in range(3)]
    for step in (2, 0, 1):
        assert all(torch.equal(*pair) for pair in zip(again.batch(step), steps[step], strict=True))
    other = _Listening(cache, replace(config, seed=1), "cpu").batch(0)
    assert not any(steps[0][0].equal(each[0]) for each in (*steps[1:], other))


def test_each_step_hears_scenes_of_one_length_that_fill_its_seconds(cache: AudioCache, config: DistilConfig) -> None:
    crops_s, rate = (0.4, 0.8, 1.6, 4.0), cache.sample_rate_hz
    listening = _Listening(cache, replace(config, crops_s=crops_s, batch_s=1.6), "cpu")
    heard = [listening.batch(step) for step in range(24)]
    shapes = {waveforms.shape for waveforms, _, _ in heard}
    assert shapes == {(4, 0.4 * rate), (2, 0.8 * rate), (1, 1.6 * rate), (1, 4.0 * rate)}
    for waveforms, frames, tags in heard:
        t = int(waveforms.shape[1] / rate * config.teacher_rate_hz / teacher.HOP)
        assert frames.shape == (len(waveforms), t, teacher.WIDTH)
        assert tags.shape == (len(waveforms), teacher.CLASSES)


def test_scenes_are_a_whole_number_of_samples_for_student_and_teacher(cache: AudioCache, config: DistilConfig) -> None:
    waveforms, *_ = _Listening(cache, replace(config, crops_s=(0.777,)), "cpu").batch(0)
    assert waveforms.shape == (1, 78 * 441)


def test_the_teacher_hears_the_same_scenes_at_its_own_rate_and_full_scale(
    cache: AudioCache, config: DistilConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening, heard = _Listening(cache, replace(config, batch_s=3.2), "cpu"), []
    answer = Teacher.forward

    def forward(self: Teacher, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        heard.append(waveforms)
        return answer(self, waveforms)

    monkeypatch.setattr(Teacher, "forward", forward)
    waveforms, frames, probabilities = listening.batch(0)
    (teachers,) = heard
    assert teachers.abs().amax(dim=1).tolist() == pytest.approx([1.0] * 8)
    for own, scene in zip(teachers.numpy(), waveforms.numpy(), strict=True):
        expected = soxr.resample(scene, cache.sample_rate_hz, config.teacher_rate_hz)
        assert len(own) == len(expected) == 12_800
        assert np.corrcoef(own[1_000:-1_000], expected[1_000:-1_000])[0, 1] > 0.999
    for found, expected in zip((frames, probabilities), teacher.answers(config.teacher, teachers.numpy()), strict=True):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-4)


def test_the_weights_left_are_the_running_mean(cache: AudioCache, config: DistilConfig, tmp_path: Path) -> None:
    output = tmp_path / "cnn.safetensors"
    assert distil(LogMel(AISFX), tiny_cnn(), cache, config, output) == output
    state = torch.load(output.with_suffix(".checkpoint.pt"), weights_only=True)
    average = {name.removeprefix("cnn."): value for name, value in state["average"].items() if name.startswith("cnn.")}
    assert _same(load_file(output), average)
    assert not torch.equal(average["conv_block1.conv1.weight"], state["student"]["cnn.conv_block1.conv1.weight"])


def test_held_out_losses_are_means_over_the_starts_of_the_sounds(
    cache: AudioCache, held_out: AudioCache, config: DistilConfig, tmp_path: Path
) -> None:
    """Of 0.8 s of the first sound and 0.4 s of the others, one of which is silent at its end."""
    config, output = replace(config, crops_s=(0.8, 0.4), steps=2), tmp_path / "cnn.safetensors"
    told: list[DistilProgress] = []
    cnn = tiny_cnn().train()  # as a new one is
    distil(LogMel(AISFX), cnn, cache, config, output, _layers(), progress=told.append, held_out=held_out)
    student = Student(tiny_cnn(), teacher.WIDTH, teacher.CLASSES, _layers()).eval()
    student.load_state_dict(torch.load(output.with_suffix(".checkpoint.pt"), weights_only=True)["average"])
    found = []
    for index, samples in enumerate([35_280, 17_640, 17_640, 17_640]):
        sound = held_out.waveform(index)[:samples]
        sound = np.pad(sound, (0, samples - len(sound)))
        heard = normalise(resample(torch.from_numpy(sound[None]), 44_100, config.teacher_rate_hz))
        frames, tags = map(torch.from_numpy, teacher.answers(config.teacher, heard.numpy()))
        log_mel, lengths = LogMel(AISFX)([sound])
        with torch.no_grad():
            vectors = _layers().audio(frames, torch.tensor([frames.shape[1]]))
            found.append(student.losses(Examples(log_mel, lengths, frames, tags, vectors)))
    (last,) = told
    assert last.held_out_frame_loss == pytest.approx(np.mean([each.frames for each in found]), rel=2e-3)
    assert last.held_out_vector_loss == pytest.approx(np.mean([each.vectors for each in found]), rel=2e-3)


def test_held_out_losses_are_told_at_checkpoints_and_of_vectors_only_where_there_are_layers(
    cache: AudioCache, held_out: AudioCache, config: DistilConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distilling, "REPORT_EVERY", 3)
    told: list[DistilProgress] = []
    config, output = replace(config, steps=5), tmp_path / "cnn.safetensors"
    distil(LogMel(AISFX), tiny_cnn(), cache, config, output, progress=told.append, held_out=held_out)
    assert [each.step for each in told] == [2, 3, 4, 5]
    assert [each.step for each in told if each.held_out_frame_loss is not None] == [2, 4, 5]
    assert {each.held_out_vector_loss for each in told} == {None}
    history = [json.loads(line) for line in output.with_suffix(".jsonl").read_text().splitlines()]
    assert [line["step"] for line in history] == [2, 3, 4, 5]
    for line, each in zip(history, told, strict=True):
        assert line.get("held_out_frame_loss") == pytest.approx(each.held_out_frame_loss, abs=1e-5)
        assert "held_out_vector_loss" not in line


def test_measuring_changes_nothing_of_what_is_learned(
    cache: AudioCache, held_out: AudioCache, config: DistilConfig, tmp_path: Path
) -> None:
    states = []
    for name, measured in (("without", None), ("with", held_out)):
        output = tmp_path / f"{name}.safetensors"
        distil(LogMel(AISFX), tiny_cnn().train(), cache, config, output, _layers(), held_out=measured)
        states.append(torch.load(output.with_suffix(".checkpoint.pt"), weights_only=True))
    assert all(_same(states[0][part], states[1][part]) for part in ("student", "average"))


@pytest.mark.parametrize("layers", [None, _layers()], ids=["frames", "vectors"])
@pytest.mark.parametrize("stops_after", [2, 4, 6])
def test_the_weights_left_are_those_nearest_to_the_teacher_on_held_out_sounds(
    cache: AudioCache,
    held_out: AudioCache,
    config: DistilConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stops_after: int,
    layers: TiedLayers | None,
) -> None:
    """Also when the run was stopped and its weights were moved away; given layers, vectors say how near."""
    output = tmp_path / "cnn.safetensors"
    frames, vectors = ((0.5, 0.3, 0.4), (None, None, None)) if layers is None else ((0.1, 0.3, 0.2), (0.5, 0.3, 0.4))
    distances = zip(frames, vectors, strict=True)
    measured: list[dict[str, Tensor]] = []

    def losses(_: object, student: Student) -> tuple[float, float | None]:
        measured.append(_weights(student))
        return next(distances)

    monkeypatch.setattr(distilling._HeldOut, "losses", losses)
    for steps in sorted({stops_after, 6}):
        output.unlink(missing_ok=True)
        distil(LogMel(AISFX), tiny_cnn(), cache, replace(config, steps=steps), output, layers, held_out=held_out)
    assert len(measured) == 3
    kept = {f"cnn.{name}": value for name, value in load_file(output).items()}
    if layers is not None:
        tied = load_file(output.with_suffix(".tied.safetensors"))
        kept |= {f"layers.{name}": value for name, value in tied.items()}
    assert all(torch.equal(value, measured[1][name]) for name, value in kept.items())
    assert not _same(measured[1], measured[2])


def test_a_distance_that_is_no_number_is_told(
    cache: AudioCache, held_out: AudioCache, config: DistilConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distilling._HeldOut, "losses", lambda *_: (float("nan"), None))
    with pytest.raises(KnownError, match="distance on held-out sounds is no number any more at step 2") as caught:
        distil(LogMel(AISFX), tiny_cnn(), cache, config, tmp_path / "cnn.safetensors", held_out=held_out)
    assert caught.value.kind == "distil_diverged"


def test_distances_from_other_sounds_are_not_compared(
    cache: AudioCache, held_out: AudioCache, config: DistilConfig, tmp_path: Path
) -> None:
    output = tmp_path / "cnn.safetensors"
    distil(LogMel(AISFX), tiny_cnn(), cache, config, output, held_out=held_out)
    with pytest.raises(KnownError, match="another configuration"):
        distil(LogMel(AISFX), tiny_cnn(), cache, config, output, held_out=cache)


@pytest.mark.parametrize("last_step", [3, 4])
def test_a_diverged_run_leaves_its_last_checkpoint_to_start_from(
    cache: AudioCache, config: DistilConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, last_step: int
) -> None:
    """Also where the step that diverges is one after which a checkpoint is written."""
    output, again = tmp_path / "cnn.safetensors", tmp_path / "again" / "cnn.safetensors"
    with monkeypatch.context() as patch:
        _change_answers(patch, last_step - 1, _no_numbers)
        with pytest.raises(KnownError, match=f"step {last_step}") as caught:
            distil(LogMel(AISFX), tiny_cnn(), cache, config, output)
    assert caught.value.kind == "distil_diverged"
    assert all(said in caught.value.hint for said in (f'{output} as "start"', "learning_rate", "--output"))
    state = torch.load(output.with_suffix(".checkpoint.pt"), weights_only=True)
    assert state["step"] == 2
    assert all(torch.isfinite(value).all() for part in ("student", "average") for value in state[part].values())
    cnn = Cnn(TINY_CNN)
    cnn.load_state_dict(convert_cnn(output, TINY_CNN))
    distil(LogMel(AISFX), cnn, cache, replace(config, start=output, learning_rate=1e-5), again)
    assert all(torch.isfinite(value).all() for value in load_file(again).values())


def test_a_run_that_diverges_before_its_first_checkpoint_starts_over(
    cache: AudioCache, config: DistilConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _change_answers(monkeypatch, 0, _no_numbers)
    with pytest.raises(KnownError) as caught:
        distil(LogMel(AISFX), tiny_cnn(), cache, config, tmp_path / "cnn.safetensors")
    assert caught.value.kind == "distil_diverged"
    assert caught.value.hint.startswith("Start over")
    assert not (tmp_path / "cnn.safetensors").exists()


def test_a_gradient_that_is_no_number_changes_no_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(tmp_path / "cnn.safetensors")
    run.student.to_tags.weight.register_hook(lambda slope: slope * torch.inf)  # type: ignore[no-untyped-call]
    before = [value.clone() for value in run.student.parameters()]
    with pytest.raises(KnownError, match="step 1"):
        run.learn(_examples(0))
    assert all(torch.equal(one, two) for one, two in zip(run.student.parameters(), before, strict=True))
