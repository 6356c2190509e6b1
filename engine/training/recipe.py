"""A training from its configuration: data -> captions -> cached features -> the sets that ``train`` wants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import ErrorKind, KnownError
from engine.models.frontend import LogMel
from engine.training.config import TrainConfig
from engine.training.data import features
from engine.training.data import tables as data
from engine.training.data.audio_cache import AudioCache
from engine.training.data.captions import CaptionOptions, CaptionWriter, join
from engine.training.data.examples import TrainSet
from engine.training.data.rows import Indices, Rows
from engine.training.data.scenes import SceneOptions, Scenes
from engine.training.measure.validation import EvalSet
from engine.training.networks import checkpoints, teacher
from engine.training.networks.encoders import EncoderConfig, load_audio, load_frontend, load_text

RELEVANT_TAG = 0.3
"""A tag at least this probable counts as true of a sound when tags are the queries."""


@dataclass(frozen=True)
class DataConfig:
    """What to train on.

    ``kind`` ``"manifest"``: ``table`` of ``tables.load_manifest``, splits ``train`` and ``val``; the
    sounds of ``more`` such tables are added.
    ``"clotho"``: ``audio`` is the folder of Clotho v2.1, splits ``development`` and ``validation``.
    ``"captioned"`` and ``"audiocaps"``: ``table`` with ``audio``, and ``val_table`` with ``val_audio``.
    ``captions`` is a table in Clotho's layout with captions written for sounds of manifests, named as there.
    ``queries`` is a table ``caption, file_name`` over the validation sounds of a manifest.

    ``clips`` trains on so many of the sounds, always the same ones, and ``seconds`` hears only the start of each sound,
    in validation too; 0 for no limit.
    """

    kind: Literal["manifest", "clotho", "captioned", "audiocaps"]
    table: Path | None = None
    more: tuple[Path, ...] = ()
    captions: Path | None = None
    audio: Path | None = None
    val_table: Path | None = None
    val_audio: Path | None = None
    queries: Path | None = None
    clips: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class TeacherConfig:
    """A tagging teacher: an ONNX model, the file with a label a line, and its sample rate."""

    model: Path
    labels: Path
    sample_rate_hz: int = 32_000


@dataclass(frozen=True)
class Recipe:
    """A whole training, as ``foundsound train --config`` reads it.

    ``captions_per_clip`` captions are written for each sound of a manifest, ``captions_per_scene`` for each scene.
    ``start`` holds tied layers in safetensors to start from instead of at random; they stay if no epoch betters them.
    """

    data: DataConfig
    encoders: EncoderConfig
    teacher: TeacherConfig | None = None
    start: Path | None = None
    captions: CaptionOptions = field(default_factory=CaptionOptions)
    captions_per_clip: int = 8
    captions_per_scene: int = 3
    scenes: SceneOptions | None = None
    train: TrainConfig = field(default_factory=TrainConfig)


_NO_ROWS: Indices = np.zeros(0, dtype=np.int64)

Report = Callable[[str, int, int], None]
"""Called with (what is being computed, done, total)."""


class CaptionBook:
    """Numbers captions as they come, each distinct one once."""

    def __init__(self) -> None:
        self.captions: list[str] = []
        self._numbers: dict[str, int] = {}

    def add(self, captions: Sequence[str]) -> Indices:
        """The numbers of captions."""
        for caption in captions:
            if caption not in self._numbers:
                self._numbers[caption] = len(self.captions)
                self.captions.append(caption)
        return np.array([self._numbers[caption] for caption in captions], dtype=np.int64)


def prepare(
    recipe: Recipe, cache: Path, report: Report | None = None, device: str = "cpu"
) -> tuple[TrainSet, dict[str, EvalSet]]:
    """Everything ``engine.training.train.train`` needs; features that the cache lacks are computed on ``device``.

    Raises:
        KnownError: for data, weights or fields that are missing or wrong.
    """
    book = CaptionBook()
    builder = _Builder(recipe, cache, report, device)
    if recipe.data.kind == "manifest":
        return builder.manifest(book)
    return builder.captioned(book)


class _Builder:
    def __init__(self, recipe: Recipe, cache: Path, report: Report | None, device: str) -> None:
        self.recipe = recipe
        self.cache = cache
        self.report = report
        self.device = device
        _check(recipe)
        self.text = load_text(recipe.encoders, cache).to(device)
        self.audio = load_audio(recipe.encoders, self.text.width)
        self.frontend: LogMel | None = None
        if self.audio is not None:
            self.frontend = load_frontend(recipe.encoders, self.audio).to(device)
            self.audio.to(device)

    def manifest(self, book: CaptionBook) -> tuple[TrainSet, dict[str, EvalSet]]:
        recipe = self.recipe
        table = _given(recipe.data.table, "data.table")
        written = self._written()
        every = [clip for each in (table, *recipe.data.more) for clip in data.load_manifest(each, written=written)]
        if written and not any(clip.written for clip in every):
            raise KnownError(
                ErrorKind.DATA_MISSING,
                f"{recipe.data.captions} names none of the sounds in {table}.",
                "Name sounds there as the manifest does, under file.",
            )
        kept = set(data.subset([i for i, clip in enumerate(every) if clip.split == "train"], recipe.data.clips))
        clips = [clip for i, clip in enumerate(every) if i in kept or clip.split != "train"]
        learned = [index for index, clip in enumerate(clips) if clip.split == "train"]
        held_out = [index for index, clip in enumerate(clips) if clip.split == "val"]
        if not held_out:
            raise KnownError(
                ErrorKind.DATA_MISSING,
                f"{table} names no sound of the split val.",
                "Write val beside sounds to validate on.",
            )
        writer = CaptionWriter(recipe.captions, self.text.vocabulary)
        names = [writer.clean_name(clip.name) for clip in clips]
        captions = [_NO_ROWS for _ in clips]
        for index in learned:
            captions[index] = self._write(writer, clips[index], book, index)
        if not any(map(len, captions)):
            raise KnownError(
                ErrorKind.DATA_MISSING,
                f"No sound of the split train in {table} gets a caption from its name or its tags.",
                "Write train beside sounds with a name of English words or with tags, or change captions.",
            )
        groups = _groups([name if writer.is_about_sound(name) else "" for name in names])
        weights = _weights(groups, [bool(len(rows)) for rows in captions])
        sounds: list[features.Sounds] = [self._files([clip.path for clip in clips])]
        if recipe.scenes is not None:
            sources = [clips[index] for index in learned]
            heard = [clip.path for clip in sources]
            audio = AudioCache.build(self.cache / "audio", heard, 44_100, self._progress("decoding"))
            scenes = Scenes(audio, weights[learned], recipe.scenes)
            sounds.append(scenes)
            captions += [self._write_scene(writer, sources, scenes, book, index) for index in range(len(scenes))]
            alone = [groups[learned[each.first]] if each.second is None else -1 for each in scenes.recipes]
            groups = np.concatenate([groups, np.array(alone, dtype=np.int64)])
            weights = np.concatenate([weights, np.full(len(scenes), weights.mean())])
        labels, tag_logits = self._teach(sounds)
        wordings = [book.add(writer.phrases.get(label, ())) for label in labels]
        queries = self._queries(writer, [clips[index] for index in held_out], book)
        states = self._states(book)
        frames = self._frames(sounds)
        validation = {
            name: EvalSet(frames, states, np.array(held_out), rows, relevant)
            for name, (rows, relevant) in queries.items()
        }
        return self._learned(TrainSet(frames, states, captions, groups, weights, tag_logits, wordings)), validation

    def captioned(self, book: CaptionBook) -> tuple[TrainSet, dict[str, EvalSet]]:
        settings = self.recipe.data
        if settings.kind == "clotho":
            root = _given(settings.audio, "data.audio")
            clips, held_out = data.load_clotho(root, "development"), data.load_clotho(root, "validation")
        else:
            load = data.load_audiocaps if settings.kind == "audiocaps" else data.load_captioned
            clips = load(_given(settings.table, "data.table"), _given(settings.audio, "data.audio"))
            held_out = load(_given(settings.val_table, "data.val_table"), _given(settings.val_audio, "data.val_audio"))
        clips = data.subset(clips, settings.clips)
        captions = [book.add(clip.captions) for clip in clips]
        if not any(map(len, captions)):
            raise KnownError(
                ErrorKind.DATA_MISSING,
                f"None of the {len(clips)} sounds to train on has a caption.",
                "Set data.clips to 0.",
            )
        sounds: list[features.Sounds] = [self._files([clip.path for clip in clips])]
        _, tag_logits = self._teach(sounds)
        wanted = data.RetrievalSet.of_clips(held_out)
        rows = book.add(wanted.captions)
        states = self._states(book)
        frames = self._frames([*sounds, self._files(wanted.files)])
        places = len(clips) + np.arange(len(wanted.files))
        validation = {"val": EvalSet(frames, states, places, rows, wanted.mask())}
        groups = np.full(len(clips), -1, dtype=np.int64)
        ones = np.ones(len(clips))
        return self._learned(TrainSet(frames, states, captions, groups, ones, tag_logits)), validation

    def _written(self) -> dict[str, tuple[str, ...]]:
        table = self.recipe.data.captions
        if table is None:
            return {}
        return {clip.path.as_posix(): clip.captions for clip in data.load_captioned(table, Path(), check=False)}

    def _files(self, paths: Sequence[Path]) -> features.Files:
        return features.Files(paths, self.recipe.data.seconds)

    def _write(self, writer: CaptionWriter, clip: data.TaggedClip, book: CaptionBook, index: int) -> Indices:
        rng = np.random.default_rng((self.recipe.train.seed, 1, index))
        drawn = (writer.draw(clip, rng) for _ in range(self.recipe.captions_per_clip))
        return book.add([caption for caption in drawn if caption])

    def _write_scene(
        self,
        writer: CaptionWriter,
        clips: Sequence[data.TaggedClip],
        scenes: Scenes,
        book: CaptionBook,
        index: int,
    ) -> Indices:
        rng = np.random.default_rng((self.recipe.train.seed, 2, index))
        made = scenes.recipes[index]
        captions = []
        for _ in range(self.recipe.captions_per_scene):
            caption = writer.draw(clips[made.first], rng)
            if made.second is not None:
                second = writer.draw(clips[made.second], rng)
                caption = join(caption, second, rng, made.in_turn) if caption and second else ""
            if caption:
                captions.append(caption)
        return book.add(captions)

    def _queries(
        self, writer: CaptionWriter, clips: Sequence[data.TaggedClip], book: CaptionBook
    ) -> dict[str, tuple[Indices, NDArray[np.bool_]]]:
        """Validation queries: written by hand, where given; the sounds' cleaned names; everyday wordings of tags."""
        files = [clip.path for clip in clips]
        pairs = {"names": [], "tags": []}  # type: dict[str, list[tuple[str, Path]]]
        for clip in clips:
            name = writer.clean_name(clip.name)
            if writer.is_about_sound(name):
                pairs["names"].append((name, clip.path))
            for label, probability in clip.tags:
                if probability >= RELEVANT_TAG and label in writer.phrases:
                    pairs["tags"].append((writer.phrases[label][0], clip.path))
        found = {name: data.RetrievalSet.of_pairs(each, files) for name, each in pairs.items()}
        if self.recipe.data.queries is not None:
            table = _given(self.recipe.data.table, "data.table")
            written = data.load_queries(self.recipe.data.queries, table.parent)
            by_hand = [
                (caption, written.files[index])
                for caption, relevant in zip(written.captions, written.relevant, strict=True)
                for index in relevant
            ]
            found["queries"] = data.RetrievalSet.of_pairs(by_hand, files)
        found = {name: each for name, each in found.items() if each.captions}
        if not found:
            raise KnownError(
                ErrorKind.DATA_MISSING,
                "No sound of the split val has a name of English words or a tag to be found by.",
                "Give them such names or tags, or name data.queries.",
            )
        result = {}
        for name, each in found.items():
            order = [each.files.index(path) for path in files]
            result[name] = (book.add(each.captions), each.mask()[:, order])
        return result

    def _teach(self, sounds: Sequence[features.Sounds]) -> tuple[list[str], NDArray[np.float32] | None]:
        known = self.recipe.teacher
        if known is None:
            return [], None
        labels = [line.strip() for line in known.labels.read_text(encoding="utf-8").splitlines() if line.strip()]
        return labels, np.concatenate([self._heard(known, each).logits for each in sounds])

    def _heard(self, known: TeacherConfig, sounds: features.Sounds) -> teacher.Heard:
        report = self._progress("teacher")
        return teacher.listen(sounds, known.model, known.sample_rate_hz, self.cache, report, self.device)

    def _states(self, book: CaptionBook) -> Rows:
        if "text" in self.recipe.encoders.trainable:
            return features.Tokens(book.captions, self.text)
        return features.token_states(book.captions, self.text, self.cache, self._progress("token states"))

    def _frames(self, sounds: Sequence[features.Sounds]) -> Rows:
        front, audio, report = self.frontend, self.audio, self._progress("audio frames")
        if front is None or audio is None:
            known = _given_teacher(self.recipe)
            return features.View.joined([self._heard(known, each).frames for each in sounds])
        if "audio" in self.recipe.encoders.trainable:
            shortest = audio.config.time_stride
            return features.View.joined(
                [features.log_mels(each, front, shortest, self.cache, report) for each in sounds]
            )
        return features.View.joined([features.cnn_frames(each, front, audio, self.cache, report) for each in sounds])

    def _learned(self, known: TrainSet) -> TrainSet:
        """The set with those encoders that are trained, and with the layers to start from."""
        trainable, start = self.recipe.encoders.trainable, self.recipe.start
        return replace(
            known,
            start=checkpoints.tensors(start) if start is not None else None,
            audio_encoder=self.audio if "audio" in trainable else None,
            text_encoder=self.text if "text" in trainable else None,
        )

    def _progress(self, what: str) -> features.Progress | None:
        report = self.report
        return None if report is None else lambda done, total: report(what, done, total)


def _check(recipe: Recipe) -> None:
    """What contradicts itself is said before anything starts."""
    if recipe.encoders.cnn == "teacher":
        _given_teacher(recipe)
    for name, given in (("more", recipe.data.more), ("captions", recipe.data.captions)):
        if given and recipe.data.kind != "manifest":
            raise KnownError(
                ErrorKind.CONFIG_INVALID,
                f"data.{name} is for manifests, not for {recipe.data.kind}.",
                "Leave it out, or join the tables.",
            )


def _given_teacher(recipe: Recipe) -> TeacherConfig:
    if recipe.teacher is None:
        raise KnownError(
            ErrorKind.CONFIG_INVALID, "The teacher's frames need a teacher.", "Name teacher.model and teacher.labels."
        )
    return recipe.teacher


def _groups(names: Sequence[str]) -> Indices:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) if name else -1 for name in names], dtype=np.int64)


def _weights(groups: Indices, captioned: Sequence[bool]) -> NDArray[np.float64]:
    """A sound is drawn less the more takes of it there are, and not at all without a caption."""
    sizes = Counter(groups.tolist())
    shares = [0.5 if group < 0 else sizes[group] ** -0.5 for group in groups.tolist()]
    return np.where(captioned, shares, 0.0)


def _given(path: Path | None, name: str) -> Path:
    if path is None:
        raise KnownError(ErrorKind.CONFIG_INVALID, f"The configuration lacks {name}.", "Name a path there.")
    return path
