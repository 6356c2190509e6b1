"""The encoders that a recipe names, loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import ErrorKind, KnownError
from engine.models import cnn as cnn10
from engine.models import frontend
from engine.models.cnn import Cnn
from engine.models.frontend import LogMel
from engine.models.text import TextEncoder
from engine.training.data.examples import AudioEncoder
from engine.training.data.features import file_key
from engine.training.networks.checkpoints import convert_cnn
from engine.training.networks.crnn import DCASE_BASELINE, Crnn, CrnnConfig
from engine.training.networks.word_vectors import read_word_vectors, save_word_vectors

FRONTENDS = {
    "panns": frontend.PANNS,
    "aisfx": frontend.AISFX,
    "koh_chng": frontend.KOH_CHNG,
    "dcase_baseline": DCASE_BASELINE,
}
CNNS = {"panns": cnn10.PANNS_CNN10, "aisfx": cnn10.AISFX_CNN10, "panns_cnn14": cnn10.PANNS_CNN14}


@dataclass(frozen=True)
class EncoderConfig:
    """The encoders, frozen but for those that ``trainable`` names; only what frozen ones make is cached.

    Audio: ``cnn`` is CNN10 as ``"panns"`` or ``"aisfx"`` has it, ``"panns_cnn14"``, or ``"crnn"``, the audio encoder of
    the DCASE 2022 task 6b baseline, as wide as the text encoder; with its ``frontend`` and its ``weights`` in
    safetensors or a ``.pth`` as published, null to train it from scratch. ``"teacher"`` takes the frames of the
    recipe's teacher instead, to see how far the CNN stays behind it and to distil such layers; that makes no pack.

    Text: a folder with a Hugging Face encoder (MiniLM, BERT, RoBERTa) or with word vectors
    (``engine.models.word_vectors``), or a file with word vectors as word2vec and GloVe write them as text.
    """

    weights: Path | None
    text: Path
    frontend: Literal["panns", "aisfx", "koh_chng", "dcase_baseline"] = "aisfx"
    cnn: Literal["panns", "aisfx", "panns_cnn14", "crnn", "teacher"] = "aisfx"
    max_tokens: int = 64
    trainable: tuple[Literal["audio", "text"], ...] = ()


def load_audio(config: EncoderConfig, text_width: int) -> AudioEncoder | None:
    """The audio encoder, with its weights or, where none are given, as initialised; None for the teacher's frames.

    Raises:
        KnownError: ``config_invalid`` when a frozen encoder has no weights, when the CRNN or the teacher is given some,
            or the teacher is to be trained; ``checkpoint_unreadable`` or ``checkpoint_mismatch`` for weights that
            cannot be read or do not fit.
    """
    if config.cnn == "teacher":
        if config.weights is not None or "audio" in config.trainable:
            raise KnownError(
                ErrorKind.CONFIG_INVALID,
                "The teacher's frames are taken as they are.",
                'Set encoders.weights to null and leave "audio" out of encoders.trainable.',
            )
        return None
    if config.weights is None and "audio" not in config.trainable:
        raise KnownError(
            ErrorKind.CONFIG_INVALID,
            "A frozen audio encoder needs encoders.weights.",
            'Name a safetensors file or a published .pth there, or add "audio" to encoders.trainable.',
        )
    if config.cnn == "crnn":
        if config.weights is not None:
            raise KnownError(
                ErrorKind.CONFIG_INVALID,
                "The CRNN is trained from scratch and takes no weights.",
                "Set encoders.weights to null.",
            )
        return Crnn(CrnnConfig(FRONTENDS[config.frontend].n_mels, text_width))
    cnn = Cnn(CNNS[config.cnn])
    if config.weights is not None:
        cnn.load_state_dict(convert_cnn(config.weights, cnn.config))
    return cnn


def load_frontend(config: EncoderConfig, audio: AudioEncoder) -> LogMel:
    """The front end, if it suits the audio encoder; KnownError ``config_invalid`` if not."""
    chosen = FRONTENDS[config.frontend]
    if chosen.n_mels != audio.config.n_mels:
        raise KnownError(
            ErrorKind.CONFIG_INVALID,
            f"The front end {config.frontend} has {chosen.n_mels} mel bands, {config.cnn} takes {audio.config.n_mels}.",
            "Choose another encoders.frontend.",
        )
    return LogMel(chosen)


def load_text(config: EncoderConfig, cache: Path) -> TextEncoder:
    """The text encoder; a file with word vectors is first written as a folder into the cache.

    Raises:
        KnownError: ``word_vectors_malformed``, or as :meth:`TextEncoder.load`.
    """
    folder = config.text
    if folder.is_file():
        folder = cache / f"words-{file_key(config.text)}"
        if not (folder / "tokenizer.json").exists():
            save_word_vectors(*read_word_vectors(config.text), folder)
    return TextEncoder.load(folder, config.max_tokens)
