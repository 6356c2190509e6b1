"""Devices by name."""

from __future__ import annotations

import pytest

from engine.errors import KnownError
from engine.models import encoder
from engine.training.networks.devices import available


@pytest.mark.parametrize("best", ["cpu", "cuda", "mps"])
def test_the_best_device_the_cpu_and_no_other(monkeypatch: pytest.MonkeyPatch, best: str) -> None:
    monkeypatch.setattr(encoder, "best_device", lambda: best)
    assert available("auto") == available(best) == best
    assert available("cpu") == "cpu"
    absent = "mps" if best == "cuda" else "cuda"
    with pytest.raises(KnownError, match=absent.upper()) as caught:
        available(absent)
    assert caught.value.kind == "device_unavailable"
