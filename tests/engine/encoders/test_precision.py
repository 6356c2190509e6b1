"""bf16 only where it is not imitated."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from engine.encoders.encoder import Encoder
from engine.encoders.precision import imitates_bf16, reduced
from tests.sounds import noise
from tests.tiny_pack import make_pack


def cpu_of(monkeypatch: pytest.MonkeyPatch, machine: str, capability: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)


@pytest.mark.parametrize(
    ("machine", "capability", "wanted", "expected"),
    [
        ("x86_64", "AVX512", True, torch.bfloat16),
        ("x86_64", "AVX512", False, torch.float32),
        ("AMD64", "AVX2", True, torch.float32),
        ("x86_64", "DEFAULT", True, torch.float32),
        ("aarch64", "DEFAULT", True, torch.bfloat16),
    ],
)
def test_a_cpu_computes_in_bf16_where_that_is_wanted_and_not_imitated(
    monkeypatch: pytest.MonkeyPatch, machine: str, capability: str, wanted: bool, expected: torch.dtype
) -> None:
    cpu_of(monkeypatch, machine, capability)
    square = torch.ones(2, 2)
    with reduced("cpu", wanted):
        assert (square @ square).dtype is expected


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_only_imitates_bf16_does_without(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert imitates_bf16("cuda") is not native


@pytest.mark.parametrize(("capability", "tried"), [("AVX2", False), ("AVX512", True)])
def test_indexing_does_not_begin_with_seconds_of_imitated_bf16(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capability: str, tried: bool
) -> None:
    cpu_of(monkeypatch, "x86_64", capability)
    contexts = []
    real = torch.autocast

    def noted(*arguments: object, **named: object) -> torch.autocast:
        contexts.append(named.get("dtype"))
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(torch, "autocast", noted)
    encoder = Encoder.load(make_pack(tmp_path), device="cpu")
    encoder.frames([noise(0.5, encoder.sample_rate_hz)[:, 0]])
    assert (torch.bfloat16 in contexts) is tried
