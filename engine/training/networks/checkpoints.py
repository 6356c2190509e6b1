"""Published checkpoints -> weights of our CNN, with every key accounted for.

Pickles are read with ``weights_only=True`` and an allow-list, once; packs hold safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import safe_globals

from engine.errors import ErrorKind, KnownError
from engine.models.cnn import Cnn, CnnConfig
from engine.models.weights import describe_misfit

_NUMPY_SCALARS = [
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]  # NumPy 1's name
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
]
"""All that aiSFX's checkpoint holds besides tensors: integer scalars of a table of its training sets."""


def panns(path: Path, config: CnnConfig) -> dict[str, Tensor]:
    """Weights from a PANNs checkpoint such as ``Cnn10_mAP=0.380.pth`` (Kong et al. 2020, Zenodo record 3987831).

    Its STFT and mel layers (our front end) and its AudioSet classifier are left out.

    Raises:
        KnownError: ``checkpoint_unreadable``, or ``checkpoint_mismatch`` when the file holds no weights where the
            publisher has them, or naming keys that are missing or unknown.
    """
    state = _weights_in(path, "model")
    ours = {name: value for name, value in state.items() if not name.startswith(_PANNS_UNUSED)}
    return _checked(path, ours, config)


def aisfx(path: Path, config: CnnConfig) -> dict[str, Tensor]:
    """Weights from aiSFX's ``checkpoint.pth`` (Ma & Lerch, ISMIR 2022; CC BY 4.0), its classifiers left out.

    Raises:
        KnownError: As :func:`panns`.
    """
    state = _weights_in(path, 0)
    prefix = "embedding_net."
    rest = [name for name in state if not name.startswith((prefix, "fc."))]
    ours = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    return _checked(path, {**ours, **{name: state[name] for name in rest}}, config)


def convert_cnn(path: Path, config: CnnConfig) -> dict[str, Tensor]:
    """Weights in fp32 from our own safetensors, of a distillation or of a pack, or from a checkpoint as published.

    Counters may be missing. A ``.pth`` is taken for PANNs' where the CNN norms its input, else for aiSFX's.

    Raises:
        KnownError: As :func:`panns`.
    """
    if path.suffix == ".pth":
        return (panns if config.input_norm else aisfx)(path, config)
    state = {name: value.float() for name, value in tensors(path).items() if not name.startswith("frontend.")}
    counters = {name: value for name, value in Cnn(config).state_dict().items() if name.endswith("num_batches_tracked")}
    return _checked(path, {**counters, **state}, config)


def tensors(path: Path) -> dict[str, Tensor]:
    """What a safetensors file holds; KnownError ``checkpoint_unreadable`` when it is missing or damaged."""
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises its own bare Exception type
        raise KnownError(
            ErrorKind.CHECKPOINT_UNREADABLE, f"{path} cannot be read: {error}.", "Name a whole safetensors file."
        ) from error


def resumable(path: Path) -> dict[str, Any]:
    """The state that a stopped run left, on the CPU; KnownError ``checkpoint_unreadable`` when it is damaged.

    Models and optimisers copy it to where they are; Adam's counts of steps stay, and on a GPU each would be waited for.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling fails in many ways
        raise KnownError(ErrorKind.CHECKPOINT_UNREADABLE, f"{path} is damaged.", "Start over with --fresh.") from error
    return state


_PANNS_UNUSED = ("spectrogram_extractor.", "logmel_extractor.", "fc1.", "fc_audioset.")


def _read(path: Path) -> Any:
    try:
        with safe_globals(_NUMPY_SCALARS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling fails in many ways
        raise KnownError(
            ErrorKind.CHECKPOINT_UNREADABLE,
            f"The checkpoint {path} is damaged, or holds more than tensors and so cannot be read safely.",
            "Download it again from its publisher.",
        ) from error


def _weights_in(path: Path, key: str | int) -> Mapping[str, Tensor]:
    """The weights that stand under ``key`` in the file."""
    held = _read(path)
    try:
        state = None if isinstance(held, Tensor) else held[key]
    except (KeyError, IndexError, TypeError):  # a file of another layout
        state = None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise KnownError(
            ErrorKind.CHECKPOINT_MISMATCH,
            f"The checkpoint {path} does not fit: it has no weights under “{key}”.",
            "Name the file as its publisher offers it, unchanged.",
        )
    return state


def _checked(path: Path, weights: Mapping[str, Tensor], config: CnnConfig) -> dict[str, Tensor]:
    wrong = describe_misfit(Cnn(config).state_dict(), weights)
    if wrong:
        raise KnownError(
            ErrorKind.CHECKPOINT_MISMATCH,
            f"The checkpoint {path} does not fit ({wrong}).",
            "Choose the configuration it was trained with.",
        )
    return {name: value.clone() for name, value in weights.items()}
