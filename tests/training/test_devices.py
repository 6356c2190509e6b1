"""Devices by name."""

from __future__ import annotations

import pytest

from engine.encoders import encoder
from engine.errors import KnownError
from engine.training.devices import available


@pytest.mark.parametrize("best", ["cpu", "cuda", "mps"])
def test_the_best_device_the_cpu_and_no_other(monkeypatch: pytest.MonkeyPatch, best: str) -> None:
    monkeypatch.setattr(encoder, "best_device", lambda: best)
    assert available("auto") == available(best) == best
    assert available("cpu") == "cpu"
    absent = "mps" if best == "cuda" else "cuda"
    with pytest.raises(KnownError, match=absent.upper()) as caught:
        available(absent)
    assert caught.value.kind == "device_unavailable"
