"""Published checkpoint layouts load with every key accounted for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.errors import KnownError
from engine.models.cnn import AISFX_CNN10, PANNS_CNN10, PANNS_CNN14, Cnn
from engine.training.networks.checkpoints import aisfx, convert_cnn, panns
from tests.engine.training.tiny import panns_state


def _cnn14_state() -> dict[str, Tensor]:
    """The keys and shapes of ``Cnn14_mAP=0.431.pth``, written out from its publication."""
    generator = torch.Generator().manual_seed(3)
    shapes: dict[str, tuple[int, ...]] = {
        "spectrogram_extractor.stft.conv_real.weight": (513, 1, 1024),
        "spectrogram_extractor.stft.conv_imag.weight": (513, 1, 1024),
        "logmel_extractor.melW": (513, 64),
        "fc1.weight": (2048, 2048),
        "fc1.bias": (2048,),
        "fc_audioset.weight": (527, 2048),
        "fc_audioset.bias": (527,),
    }
    norms = {"bn0": 64}
    channels = (1, 64, 128, 256, 512, 1024, 2048)
    for block in range(1, 7):
        before, after = channels[block - 1], channels[block]
        shapes[f"conv_block{block}.conv1.weight"] = (after, before, 3, 3)
        shapes[f"conv_block{block}.conv2.weight"] = (after, after, 3, 3)
        norms |= {f"conv_block{block}.bn1": after, f"conv_block{block}.bn2": after}
    for name, width in norms.items():
        shapes |= {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    state = {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}
    return {**state, **{f"{name}.num_batches_tracked": torch.tensor(7) for name in norms}}


def _aisfx_state() -> dict[str, Tensor]:
    torch.manual_seed(2)
    cnn = {f"embedding_net.{name}": value for name, value in Cnn(AISFX_CNN10).state_dict().items()}
    return {**cnn, "fc.0.0.weight": torch.randn(256, 512), "fc.0.0.bias": torch.randn(256)}


def test_panns_layout(tmp_path: Path) -> None:
    state = panns_state()
    torch.save({"model": state}, tmp_path / "cnn10.pth")
    weights = panns(tmp_path / "cnn10.pth", PANNS_CNN10)
    Cnn(PANNS_CNN10).load_state_dict(weights, strict=True)
    assert torch.equal(weights["bn0.weight"], state["bn0.weight"])
    assert torch.equal(weights["conv_block4.conv2.weight"], state["conv_block4.conv2.weight"])


def test_cnn14_layout(tmp_path: Path) -> None:
    state = _cnn14_state()
    torch.save({"model": state}, tmp_path / "cnn14.pth")
    weights = panns(tmp_path / "cnn14.pth", PANNS_CNN14)
    cnn = Cnn(PANNS_CNN14)
    cnn.load_state_dict(weights, strict=True)
    assert torch.equal(cnn.state_dict()["conv_block6.conv2.weight"], state["conv_block6.conv2.weight"])
    assert torch.equal(cnn.state_dict()["bn0.running_var"], state["bn0.running_var"])
    with pytest.raises(KnownError, match="conv_block5"):
        panns(tmp_path / "cnn14.pth", PANNS_CNN10)


def test_aisfx_layout_with_its_table_of_numpy_integers(tmp_path: Path) -> None:
    state = _aisfx_state()
    torch.save((state, {"ucsMixed": (np.int64(2), 69)}), tmp_path / "checkpoint.pth")
    weights = aisfx(tmp_path / "checkpoint.pth", AISFX_CNN10)
    Cnn(AISFX_CNN10).load_state_dict(weights, strict=True)
    assert torch.equal(weights["conv_block1.conv1.weight"], state["embedding_net.conv_block1.conv1.weight"])


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_a_key_that_does_not_fit_is_named(tmp_path: Path, change: str) -> None:
    state = panns_state()
    if change == "missing":
        del state["conv_block2.bn1.running_mean"]
    elif change == "unknown":
        state["conv_block9.conv1.weight"] = torch.zeros(1)
    else:
        state["conv_block1.conv1.weight"] = torch.zeros(64, 2, 3, 3)
    torch.save({"model": state}, tmp_path / "cnn10.pth")
    with pytest.raises(KnownError, match="conv_block") as caught:
        panns(tmp_path / "cnn10.pth", PANNS_CNN10)
    assert caught.value.kind == "checkpoint_mismatch"


@pytest.mark.parametrize("held", [{"weights": {}}, [], torch.zeros(3), {"model": 3}, {"model": {"fc1": "x"}}, None])
def test_a_file_of_another_layout_is_a_known_error(tmp_path: Path, held: object) -> None:
    torch.save(held, tmp_path / "other.pth")
    for read in (panns, aisfx):
        with pytest.raises(KnownError, match=r"other\.pth does not fit") as caught:
            read(tmp_path / "other.pth", PANNS_CNN10)
        assert caught.value.kind == "checkpoint_mismatch"


class _Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("code ran",))


def test_a_pickle_with_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": _Harmful()}, tmp_path / "evil.pth")
    with pytest.raises(KnownError) as caught:
        panns(tmp_path / "evil.pth", PANNS_CNN10)
    assert caught.value.kind == "checkpoint_unreadable"
    assert "code ran" not in capsys.readouterr().out


def test_published_checkpoints_are_read_as_what_the_cnn_tells_them_to_be(tmp_path: Path) -> None:
    torch.save({"model": panns_state()}, tmp_path / "panns.pth")
    torch.save((_aisfx_state(), {"ucsMixed": (np.int64(2), 69)}), tmp_path / "aisfx.pth")
    for name, config, read in (("panns.pth", PANNS_CNN10, panns), ("aisfx.pth", AISFX_CNN10, aisfx)):
        weights, expected = convert_cnn(tmp_path / name, config), read(tmp_path / name, config)
        assert set(weights) == set(expected) == set(Cnn(config).state_dict())
        assert all(torch.equal(weights[key], value) for key, value in expected.items())
    for name, config in (("panns.pth", AISFX_CNN10), ("aisfx.pth", PANNS_CNN10)):
        with pytest.raises(KnownError, match=name) as caught:
            convert_cnn(tmp_path / name, config)
        assert caught.value.kind == "checkpoint_mismatch"
    (tmp_path / "aisfx.pth").write_bytes(b"cut short")
    with pytest.raises(KnownError, match=r"aisfx\.pth") as caught:
        convert_cnn(tmp_path / "aisfx.pth", AISFX_CNN10)
    assert caught.value.kind == "checkpoint_unreadable"


def test_converted_weights_load_whole_or_not_at_all(tmp_path: Path) -> None:
    state = Cnn(AISFX_CNN10).state_dict()
    floats = {name: value.half() for name, value in state.items() if value.is_floating_point()}
    save_file({**floats, "frontend.mel": torch.zeros(1)}, tmp_path / "audio.safetensors")
    weights = convert_cnn(tmp_path / "audio.safetensors", AISFX_CNN10)
    Cnn(AISFX_CNN10).load_state_dict(weights)
    assert {value.dtype for name, value in weights.items() if name in floats} == {torch.float32}
    with pytest.raises(KnownError) as caught:
        convert_cnn(tmp_path / "audio.safetensors", PANNS_CNN10)
    assert caught.value.kind == "checkpoint_mismatch"
    (tmp_path / "audio.safetensors").write_bytes((tmp_path / "audio.safetensors").read_bytes()[:1000])
    with pytest.raises(KnownError, match=r"audio\.safetensors") as caught:
        convert_cnn(tmp_path / "audio.safetensors", AISFX_CNN10)
    assert caught.value.kind == "checkpoint_unreadable"
