"""bf16 only where it is not imitated."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from engine.models.encoder import Encoder
from engine.models.precision import BF16_INSTRUCTIONS, imitates_bf16, reduced_precision
from tests.sounds import noise
from tests.tiny_pack import make_pack

AVX2 = {"architecture": "x86_64", "avx2": True, "avx512_f": False, "avx512_bf16": False, "amx_bf16": False}
SKYLAKE = AVX2 | {"avx512_f": True, "avx512_bw": True, "avx512_vl": True}
ZEN_4 = SKYLAKE | {"avx512_bf16": True}
AMX_ALONE = SKYLAKE | {"amx_bf16": True}
ARM = {"architecture": "aarch64", "neon": True}


def cpu_of(monkeypatch: pytest.MonkeyPatch, machine: str, capabilities: dict[str, object]) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)


@pytest.mark.parametrize(
    ("machine", "capabilities", "wanted", "expected"),
    [
        ("x86_64", ZEN_4, True, torch.bfloat16),
        ("x86_64", ZEN_4, False, torch.float32),
        ("AMD64", AMX_ALONE, True, torch.bfloat16),
        ("x86_64", SKYLAKE, True, torch.float32),
        ("AMD64", AVX2, True, torch.float32),
        ("x86_64", {}, True, torch.float32),
        ("aarch64", ARM, True, torch.bfloat16),
    ],
)
def test_a_cpu_computes_in_bf16_where_that_is_wanted_and_not_imitated(
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    capabilities: dict[str, object],
    wanted: bool,
    expected: torch.dtype,
) -> None:
    cpu_of(monkeypatch, machine, capabilities)
    square = torch.ones(2, 2)
    with reduced_precision("cpu", wanted):
        assert (square @ square).dtype is expected


def test_pytorch_tells_whether_an_x86_processor_has_such_instructions() -> None:
    capabilities = torch.cpu.get_capabilities()
    if capabilities["architecture"] == "x86_64":
        assert set(BF16_INSTRUCTIONS) <= set(capabilities)


def test_a_pytorch_that_cannot_tell_computes_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_of(monkeypatch, "x86_64", ZEN_4)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert imitates_bf16("cpu")


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_only_imitates_bf16_does_without(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert imitates_bf16("cuda") is not native


@pytest.mark.parametrize(("capabilities", "tried"), [(SKYLAKE, False), (ZEN_4, True)])
def test_indexing_does_not_begin_with_seconds_of_imitated_bf16(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capabilities: dict[str, object], tried: bool
) -> None:
    cpu_of(monkeypatch, "x86_64", capabilities)
    contexts = []
    real = torch.autocast

    def noted(*arguments: object, **named: object) -> torch.autocast:
        contexts.append(named.get("dtype"))
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(torch, "autocast", noted)
    encoder = Encoder.load(make_pack(tmp_path), device="cpu")
    encoder.frames([noise(0.5, encoder.sample_rate_hz)[:, 0]])
    assert (torch.bfloat16 in contexts) is tried
