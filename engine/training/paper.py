"""``foundsound packs install paper``: the paper's encoders, ready for ``train --config clotho-paper.json``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import save_file

from engine.models.cnn import PANNS_CNN10
from engine.models.packs import sha256
from engine.models.text import TextEncoder
from engine.training.config import read_config
from engine.training.config_files import CONFIGS
from engine.training.data.download import Source, fetch
from engine.training.networks import checkpoints

Report = Callable[[str, int, int], None]
"""Called with (file, bytes here, bytes in all)."""

RECORD = "sources.json"


@dataclass(frozen=True)
class PaperSources:
    """Where PANNs CNN10 and the files of RoBERTa-base are published, with pinned sizes and hashes."""

    cnn10: Source
    text: tuple[Source, ...]


def published() -> PaperSources:
    """The sources as pinned in ``configs/paper-sources.json``."""
    return read_config(PaperSources, CONFIGS / "paper-sources.json")


def install(folder: Path, sources: PaperSources, report: Report | None = None) -> Path:
    """Fetch and convert: ``cnn10.safetensors`` and ``roberta-base/`` in ``folder``; returns the record of what came.

    The record, ``sources.json``, holds each file's address, licence, size and SHA-256 as measured here.

    Raises:
        KnownError: As :func:`.download.fetch`, :func:`.checkpoints.panns` and
            :meth:`engine.models.text.TextEncoder.load`.
    """
    fetched = {}
    for source in (sources.cnn10, *sources.text):
        fetched[source] = fetch(source, folder, _progress(source, report))
    save_file(checkpoints.panns(fetched[sources.cnn10], PANNS_CNN10), folder / "cnn10.safetensors")
    TextEncoder.load(fetched[sources.text[0]].parent)
    record = [{**asdict(source), "sha256": sha256(path)} for source, path in fetched.items()]
    path = folder / RECORD
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _progress(source: Source, report: Report | None) -> Callable[[int, int], None] | None:
    return None if report is None else lambda done, total: report(source.file, done, total)
