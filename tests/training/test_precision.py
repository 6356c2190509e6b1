"""bf16 only where it is quick."""

from __future__ import annotations

import pytest
import torch

from engine.training.precision import _is_quick, reduced


@pytest.mark.parametrize(
    ("capability", "wanted", "expected"),
    [
        ("AVX512", True, torch.bfloat16),
        ("AVX512", False, torch.float32),
        ("AVX2", True, torch.float32),
        ("DEFAULT", True, torch.float32),
    ],
)
def test_a_cpu_computes_in_bf16_where_that_is_wanted_and_quick(
    monkeypatch: pytest.MonkeyPatch, capability: str, wanted: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    square = torch.ones(2, 2)
    with reduced("cpu", wanted):
        assert (square @ square).dtype is expected


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_only_imitates_bf16_does_without(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert _is_quick("cuda") is native
