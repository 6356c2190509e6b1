"""The paper's encoders in the layouts they are published in, with random weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import RobertaConfig, RobertaForMaskedLM

from engine.errors import KnownError
from engine.models.cnn import PANNS_CNN10
from engine.models.text import TextEncoder
from engine.training import paper
from engine.training.data.download import Source
from engine.training.networks.checkpoints import convert_cnn
from tests.engine.training.tiny import panns_state


def _roberta(folder: Path) -> Path:
    """A tiny RoBERTa as the hub has it: the masked language model with its head, position ids, no pooler."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    words = ["<s>", "<pad>", "</s>", "<unk>", "Ġdog", "dog", "Ġ", "d", "o", "g"]
    tokenizer = Tokenizer(models.BPE({word: index for index, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.save(str(folder / "tokenizer.json"))
    config = RobertaConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
        type_vocab_size=1,
        pad_token_id=1,
    )
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    state = RobertaForMaskedLM(config).state_dict()
    kept = {name: value.contiguous() for name, value in state.items() if name != "lm_head.decoder.weight"}
    kept = {name: value for name, value in kept.items() if name != "lm_head.decoder.bias"}
    assert all(name.startswith(("roberta.", "lm_head.")) for name in kept)
    save_file({**kept, "roberta.embeddings.position_ids": torch.arange(40)[None]}, folder / "model.safetensors")
    return folder


def _source(path: Path, name: str, md5_only: bool = False) -> Source:
    content = path.read_bytes()
    if md5_only:
        return Source(path.as_uri(), name, len(content), "CC0", md5=hashlib.md5(content).hexdigest())
    return Source(path.as_uri(), name, len(content), "CC0", sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def sources(tmp_path: Path) -> paper.PaperSources:
    torch.save({"model": panns_state(), "iteration": 1}, tmp_path / "cnn10.pth")
    roberta = _roberta(tmp_path / "hub")
    names = ("config.json", "tokenizer.json", "model.safetensors")
    text = tuple(_source(roberta / name, f"roberta-base/{name}") for name in names)
    return paper.PaperSources(_source(tmp_path / "cnn10.pth", "Cnn10.pth", md5_only=True), text)


def test_what_is_installed_loads_and_is_recorded(sources: paper.PaperSources, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    record = paper.install(tmp_path / "paper", sources, lambda *values: told.append(values))
    assert {name for name, _, _ in told} == {"Cnn10.pth", *(source.file for source in sources.text)}
    weights = convert_cnn(tmp_path / "paper" / "cnn10.safetensors", PANNS_CNN10)
    assert torch.equal(weights["bn0.weight"], panns_state()["bn0.weight"])
    text = TextEncoder.load(tmp_path / "paper" / "roberta-base")
    assert text.width == 16
    states, lengths = text(["dog dog", "dog"])
    assert lengths.tolist() == [9, 5]  # no merges: letter by letter, between two marks
    assert torch.isfinite(states).all()
    entries = json.loads(record.read_text(encoding="utf-8"))
    assert [entry["file"] for entry in entries] == [sources.cnn10.file, *(source.file for source in sources.text)]
    assert entries[0]["sha256"] == hashlib.sha256((tmp_path / "cnn10.pth").read_bytes()).hexdigest()
    assert sources.cnn10.sha256 is None


def test_a_checkpoint_of_another_model_is_refused(sources: paper.PaperSources, tmp_path: Path) -> None:
    torch.save({"model": {"weight": torch.zeros(1)}}, tmp_path / "other.pth")
    other = paper.PaperSources(_source(tmp_path / "other.pth", "Cnn10.pth"), sources.text)
    with pytest.raises(KnownError) as caught:
        paper.install(tmp_path / "paper", other)
    assert caught.value.kind == "checkpoint_mismatch"
    assert not (tmp_path / "paper" / paper.RECORD).exists()


def test_the_published_sources_are_pinned_and_encrypted() -> None:
    published = paper.published()
    assert all(source.url.startswith("https://") for source in (published.cnn10, *published.text))
    assert published.cnn10.file == "Cnn10_mAP=0.380.pth"
    assert all(source.sha256 for source in published.text)
    revisions = {source.url.split("/resolve/")[1].split("/")[0] for source in published.text}
    assert len(revisions) == 1
    assert len(revisions.pop()) == 40
