"""Tied layers together with the encoders that are trained beneath them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.errors import ErrorKind, KnownError
from engine.files import atomic_write
from engine.models.precision import reduced_precision
from engine.models.tied_layers import TiedLayers
from engine.training.config import TrainConfig, read_config
from engine.training.data.examples import TrainSet
from engine.training.networks.checkpoints import tensors


class RetrievalModel(nn.Module):
    """What training changes: the tied layers and, where they are not frozen, copies of the encoders.

    A frozen encoder is None here, and its outputs are what comes in.

    Raises:
        KnownError: ``checkpoint_mismatch`` when the weights to start from are of layers of another shape.
    """

    def __init__(self, config: TrainConfig, data: TrainSet) -> None:
        super().__init__()
        self.tied = TiedLayers(config.tied(*data.widths))
        if data.start is not None:
            _fill(self.tied, data.start, "The layers to start from are of another shape than the configuration's.")
        self.audio_encoder = copy.deepcopy(data.audio_encoder)
        self.text_encoder = copy.deepcopy(data.text_encoder)
        self._config = config

    @property
    def device(self) -> torch.device:
        """Where the weights are; batches may come from elsewhere."""
        return next(self.parameters(), torch.empty(0)).device

    def audio(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Audio or log-mel frames (batch, time, width), valid ones (batch,) -> unit vectors (batch, dim)."""
        rows = rows.to(self.device)
        if self.audio_encoder is not None:
            with self._autocast():
                rows, lengths = self.audio_encoder(rows, lengths)
        return self.tied.audio(rows.float(), lengths)

    def text(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Token states, or numbers (batch, tokens, 1), valid ones (batch,) -> unit vectors (batch, dim)."""
        rows = rows.to(self.device)
        if self.text_encoder is not None:
            with self._autocast():
                rows = self.text_encoder.states(rows.squeeze(2), lengths)
        return self.tied.text(rows.float(), lengths)

    def train(self, mode: bool = True) -> RetrievalModel:
        """Training or evaluation mode; a published audio encoder's batch norms keep to what they know."""
        super().train(mode)
        if self.audio_encoder is not None and self._config.keep_norms:
            for module in self.audio_encoder.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Those of the encoders."""
        return [value for name, value in self.named_parameters() if not name.startswith("tied.")]

    def save(self, state: dict[str, Tensor], folder: Path) -> None:
        """Write these weights: ``tied.safetensors``; of trained encoders also ``audio.safetensors`` and ``text/``."""
        self.load_state_dict(state)
        if self.audio_encoder is not None:
            with atomic_write(folder / "audio.safetensors") as partial:
                save_file(_contiguous(self.audio_encoder), partial)
        if self.text_encoder is not None:
            self.text_encoder.save(folder / "text")
        with atomic_write(folder / "tied.safetensors") as partial:  # last: it tells that the run is finished
            save_file(_contiguous(self.tied), partial)

    def _autocast(self) -> torch.autocast:
        return reduced_precision(self.device, self._config.reduced_precision)


def layers_of_run(run: Path) -> TiedLayers:
    """The tied layers that a finished training left in its folder.

    Raises:
        KnownError: ``config_missing`` or ``checkpoint_unreadable`` when a file of it is not there or damaged,
            ``checkpoint_mismatch`` when they do not belong together or have no projections to take the widths from.
    """
    config = read_config(TrainConfig, run / "config.json")
    state = tensors(run / "tied.safetensors")
    try:
        widths = [state[f"{side}_projection.weight"].shape[1] for side in ("audio", "text")]
    except (KeyError, IndexError) as error:
        raise KnownError(
            ErrorKind.CHECKPOINT_MISMATCH, f"{run} holds no layers with projections.", "Name a training of tied layers."
        ) from error
    layers = TiedLayers(config.tied(*widths))
    _fill(layers, state, f"The layers in {run} are not as its config.json says.")
    return layers.eval()


def _fill(layers: TiedLayers, state: Mapping[str, Tensor], complaint: str) -> None:
    try:
        layers.load_state_dict(state)
    except RuntimeError as error:
        raise KnownError(ErrorKind.CHECKPOINT_MISMATCH, complaint, "Name layers of the same shape.") from error


def _contiguous(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
