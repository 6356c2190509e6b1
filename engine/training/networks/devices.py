"""Where to compute: devices by their names in torch."""

from __future__ import annotations

from engine.errors import ErrorKind, KnownError
from engine.models import encoder

AUTO = "auto"
DEVICES = (AUTO, "cpu", "cuda", "mps")


def available(name: str) -> str:
    """The device of one of the ``DEVICES``, the best there is for ``auto``.

    Raises:
        KnownError: ``device_unavailable`` where there is no such device.
    """
    best = encoder.best_device()  # no machine has both CUDA and MPS
    if name == AUTO:
        return best
    if name not in ("cpu", best):
        raise KnownError(
            ErrorKind.DEVICE_UNAVAILABLE,
            f"PyTorch finds no {name.upper()} device here.",
            "Leave --device out, or name cpu.",
        )
    return name
