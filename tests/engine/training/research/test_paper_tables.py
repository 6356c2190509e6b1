"""The tables of ``make paper-tables``: configurations, kept figures, the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import KnownError
from engine.training.config import parse_config
from engine.training.recipe import Recipe
from engine.training.research import paper_tables
from engine.training.research.paper_tables import (
    MEASURES,
    Results,
    Row,
    Table,
    as_markdown,
    effective_rank,
    fill,
    load_table,
    merged,
)
from tests.engine.training.tiny import cnn_file, text_folder, tone

TABLES = sorted(paper_tables.CONFIGS.glob("*.json"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_row_is_a_recipe_of_its_own(path: Path) -> None:
    table = load_table(path)
    assert len({row.key for row in table.rows}) == len({row.name for row in table.rows}) == len(table.rows)
    for row in table.rows:
        recipe = parse_config(Recipe, row.recipe, path)
        if table.name != "beyond":  # which is measured as the shipped pack is trained
            assert recipe.data.clips > 0
            assert recipe.train.metrics == ("queries.map_at_10", "names.map_at_10")


def test_rows_differ_only_where_they_say_so() -> None:
    assert merged({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3}, "d": []}) == {"a": {"b": 3, "c": 2}, "d": []}


def test_a_wrong_row_is_named(tmp_path: Path) -> None:
    table = {"recipe": {"data": {"kind": "manifest"}}, "rows": [{"name": "x", "change": {"train": {"layer": 2}}}]}
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(KnownError, match=r"wrong\.json: unknown field train\.layer"):
        load_table(path)


def _run(row: Row, seed: int, value: float) -> dict[str, Any]:
    figures = dict.fromkeys(MEASURES, value)
    kept = {"table": "t", "row": row.name, "seed": seed, "recipe": row.key, "seconds": 10, "rank": 4.0}
    return {**kept, "metrics": {"queries": figures, "names": figures}}


def test_figures_are_kept_once_a_seed_and_shown_as_mean_and_deviation(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json")
    first = Row("first", {"train": {}}, {"recall_at_1": 0.03, "map_at_10": 0.07}, tmp_path)
    second = Row("second", {"train": {"dim": 1}}, {}, tmp_path)
    for seed, value in ((2, 0.3), (0, 0.9), (1, 0.2), (0, 0.1)):
        results.add(_run(first, seed, value))
    assert [run["seed"] for run in results.of(first)] == [0, 1, 2]
    results.add(_run(second, 0, 0.5))
    lines = as_markdown(Table("t", (first, second)), results).splitlines()
    assert lines[2] == "| first |" + " 0.200 ± 0.100 |" * 5 + " 4.0 | 10 | 0.03 / 0.07 |"
    assert lines[3].startswith("| second (1 of 3 seeds) | 0.500 |")
    changed = Row("second", {"train": {"dim": 2}}, {}, tmp_path)
    unpublished = as_markdown(Table("t", (changed,)), results)
    assert "not run" in unpublished
    assert "Clotho" not in unpublished
    assert len({line.count("|") for line in unpublished.splitlines()}) == 1


def test_seconds_are_averaged_over_runs_of_one_kind_of_device(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json")
    row = Row("row", {}, {}, tmp_path)
    kinds: list[dict[str, Any]] = [{}, {"device": "cpu", "seconds": 30}, {"device": "cuda", "seconds": 3}]
    for seed, kind in enumerate(kinds):
        results.add({**_run(row, seed, 0.1), **kind})
    assert as_markdown(Table("t", (row,)), results).endswith(" | 20, 3 (cuda) |")


@pytest.mark.parametrize(
    ("device", "said"), [("gpu", "invalid choice: 'gpu'"), ("cuda", "PyTorch finds no CUDA device")]
)
def test_a_device_that_is_not_there_is_told_before_anything_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    device: str,
    said: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(paper_tables, "make_stand_ins", lambda folder, text: pytest.fail("made stand-ins"))
    with pytest.raises(SystemExit) as caught:
        paper_tables.main(["--docs", str(tmp_path), "--device", device])
    assert said in f"{caught.value}{capsys.readouterr().err}"


def test_effective_rank() -> None:
    line = np.arange(4.0, dtype=np.float32)[:, None] * np.array([[1.0, 2.0, 0.0]], np.float32)
    assert effective_rank(line) == pytest.approx(1.0, abs=1e-3)
    assert effective_rank(np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)) == pytest.approx(3.0)


def test_tables_take_the_place_of_their_markers_and_of_nothing_else() -> None:
    page = "text\n<!-- table a -->\nold\n<!-- end -->\nmore\n<!-- table b -->\n<!-- end -->\n"
    filled = "text\n<!-- table a -->\nA\\1\n<!-- end -->\nmore\n<!-- table b -->\nB\n<!-- end -->\n"
    assert fill(page, {"a": "A\\1", "b": "B"}) == filled
    assert fill(filled, {"a": "A\\1", "b": "B"}) == filled
    with pytest.raises(KnownError, match="table c"):
        fill(page, {"c": "C"})


def test_a_stopped_command_goes_on_where_it_was_past_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines = ["file,split,source,seconds,caption,audioset_tags"]
    queries = ["caption,file_name", "a dog barks,2.wav"]
    for index, (split, name) in enumerate([("train", "dog bark"), ("train", "rain"), ("val", "dog bark")]):
        tone(tmp_path / f"{index}.wav", 300 * (index + 1), 0.4)
        lines.append(f"{index}.wav,{split},source,2,{name},Dog=0.9")
    (tmp_path / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "queries.csv").write_text("\n".join(queries), encoding="utf-8")
    encoders = {"weights": str(cnn_file(tmp_path / "cnn.safetensors")), "text": str(text_folder(tmp_path / "text"))}
    train = {"dim": 16, "layers": 1, "heads": 2, "feedforward": 16, "max_epochs": 2, "metrics": ["names.map_at_10"]}
    data = {"kind": "manifest", "table": f"{tmp_path / 'manifest.csv'}", "queries": f"{tmp_path / 'queries.csv'}"}
    (tmp_path / "configs").mkdir()
    rows: list[dict[str, Any]] = [{"name": "only"}]
    content = {"recipe": {"data": data, "encoders": encoders, "train": train}, "rows": rows}
    for name in ("teacher", "weights"):
        gone = str(tmp_path / f"no-{name}")
        change = {"encoders": {"weights": gone}} if name == "weights" else {"teacher": {"model": gone, "labels": gone}}
        rows.insert(0, {"name": f"without {name}", "change": change})
    (tmp_path / "configs" / "small.json").write_text(json.dumps(content), encoding="utf-8")
    last = [{"name": "last", "change": {"encoders": {"weights": str(tmp_path / "no-last")}}}]
    (tmp_path / "configs" / "beyond.json").write_text(json.dumps({**content, "rows": last}), encoding="utf-8")
    page = "".join(f"<!-- table {name} -->\n<!-- end -->\n" for name in ("small", "beyond"))
    (tmp_path / "paper-tables.md").write_text(page, encoding="utf-8")
    monkeypatch.setattr(paper_tables, "CONFIGS", tmp_path / "configs")
    monkeypatch.setattr(paper_tables, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(paper_tables, "make_stand_ins", lambda folder, text: None)
    arguments = ["--docs", str(tmp_path), "--seeds", "0", "1"]
    caplog.set_level("INFO")
    paper_tables.main(arguments)
    said = [record.getMessage() for record in caplog.records if "not run" in record.getMessage()]
    assert [message.rpartition("not run: ")[2] for message in said] == [
        f"{tmp_path / 'no-weights'} is missing",
        f"{tmp_path / 'no-teacher'} is missing",
        f"{tmp_path / 'no-last'} is missing",
    ] * 2
    runs = json.loads((tmp_path / "paper-tables.json").read_text(encoding="utf-8"))
    assert [(run["row"], run["seed"], run["epochs"]) for run in runs] == [("only", 0, 2), ("only", 1, 2)]
    assert [run["device"] for run in runs] == ["cpu", "cpu"]
    mean = sum(run["metrics"]["queries"]["map_at_10"] for run in runs) / 2
    assert f"| {mean:.3f} ± " in (tmp_path / "paper-tables.md").read_text(encoding="utf-8")
    monkeypatch.setattr(paper_tables, "train", lambda *parts: pytest.fail("trained again"))
    paper_tables.main(arguments)
