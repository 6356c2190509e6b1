"""The comparisons of Koh & Chng 2022 on our own sounds: ``python -m engine.training.research.paper_tables``.

Each file in ``configs/paper`` is one table: a recipe and the rows that change it. Every row is trained with each seed;
each run's figures go to ``docs/paper-tables.json`` as it ends, so that a stopped command goes on where it was. The
tables then take the place of their markers in ``docs/paper-tables.md``, whose text is written by hand.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import ErrorKind, KnownError
from engine.files import atomic_write
from engine.training.config import parse_config
from engine.training.config_files import flatten
from engine.training.measure.validation import vectors
from engine.training.networks.devices import DEVICES, available
from engine.training.networks.model import RetrievalModel
from engine.training.networks.stand_ins import make_stand_ins
from engine.training.recipe import Recipe, prepare
from engine.training.train import train

log = logging.getLogger(__name__)

CONFIGS = Path(__file__).parents[1] / "configs" / "paper"
CACHE = Path(".cache/paper")
"""Features, runs and stand-ins, which the configurations name there."""
MINILM = Path("resources/packs/sfx-cnn10/text")
LAST = "beyond"
"""The table that is run after all others: it takes longest and wants what `foundsound distil` makes."""
SEEDS = (0, 1, 2)
MEASURES = {"recall_at_1": "R@1", "recall_at_5": "R@5", "recall_at_10": "R@10", "map_at_10": "mAP@10"}
SETS = ("queries", "names")
"""Validation sets whose figures are kept; the first one stands in full, of the others only mAP@10."""


@dataclass(frozen=True)
class Row:
    """One line of a table. ``recipe`` is the whole recipe as JSON, ``clotho`` published figures by measure."""

    name: str
    recipe: Mapping[str, Any]
    clotho: Mapping[str, float]
    source: Path

    @property
    def key(self) -> str:
        """Names the recipe, so that figures of a changed one are not taken for it."""
        return hashlib.blake2b(json.dumps(self.recipe, sort_keys=True).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Table:
    """Rows that are trained on the same data."""

    name: str
    rows: tuple[Row, ...]


class Results:
    """Figures of finished runs in a JSON file, read anew before each change so that two commands can fill it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[dict[str, Any]]:
        """Every run, in order of table, row and seed."""
        if not self.path.exists():
            return []
        runs: list[dict[str, Any]] = json.loads(self.path.read_text(encoding="utf-8"))
        return runs

    def of(self, row: Row) -> list[dict[str, Any]]:
        """The runs of a row."""
        return [run for run in self.all() if run["recipe"] == row.key]

    def add(self, run: dict[str, Any]) -> None:
        """Keep a run; one of the same row and seed is replaced."""
        place = ("table", "row", "seed")
        runs = [each for each in self.all() if [each[key] for key in place] != [run[key] for key in place]]
        runs = sorted([*runs, run], key=lambda each: [each[key] for key in place])
        with atomic_write(self.path) as partial:
            partial.write_text("[\n" + ",\n".join(map(json.dumps, runs)) + "\n]\n", encoding="utf-8", newline="\n")


def load_table(path: Path) -> Table:
    """A table from its JSON file: ``recipe``, and ``rows`` of ``name``, ``change`` and perhaps ``clotho``.

    Raises:
        KnownError: ``config_invalid`` when a row's recipe is not one.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for row in values["rows"]:
        recipe = merged(values["recipe"], row.get("change", {}))
        parse_config(Recipe, recipe, path)
        rows.append(Row(row["name"], recipe, row.get("clotho", {}), path))
    return Table(path.stem, tuple(rows))


def merged(values: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with those of ``change`` in their place, object by object."""
    result = dict(values)
    for name, value in change.items():
        known = result.get(name)
        result[name] = merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result


def run_row(table: Table, row: Row, seed: int, cache: Path, device: str = "cpu") -> dict[str, Any]:
    """Train a row with one seed: what :class:`Results` keeps, figures of the best epoch."""
    recipe = parse_config(Recipe, row.recipe, row.source)
    recipe = replace(recipe, train=replace(recipe.train, seed=seed))
    data, validation = prepare(recipe, cache, lambda *done: log.debug("%s %s/%s", *done), device)
    started = time.monotonic()
    folder = cache / "runs" / f"{row.key}-{seed}"
    result = train(recipe.train, data, validation, folder, lambda line: log.info("%s", line), device)
    best = result.history[result.epoch - 1]
    seconds = round(time.monotonic() - started)
    model = RetrievalModel(recipe.train, data).eval()
    model.load_state_dict(result.state)
    sounds = validation[SETS[0]]
    return {
        "table": table.name,
        "row": row.name,
        "seed": seed,
        "recipe": row.key,
        "epochs": len(result.history),
        "best_epoch": result.epoch,
        "device": device,
        "seconds": seconds,
        "rank": round(effective_rank(vectors(model.audio, sounds.frames, sounds.sounds)), 1),
        "metrics": {name: {measure: best[name][measure] for measure in MEASURES} for name in SETS},
    }


def effective_rank(rows: NDArray[np.float32]) -> float:
    """Of how many dimensions vectors (n, d) make use: exp of the entropy of the variances along their main axes.

    1 where all lie on a line, d where they scatter alike in all directions.
    """
    variances = np.square(np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False))
    shares = variances[variances > 0.0] / variances.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def as_markdown(table: Table, results: Results) -> str:
    """The table in Markdown: mean ± standard deviation over the seeds, then what was published, if anything."""
    head = ["", *MEASURES.values(), "names: mAP@10", "dimensions used", "s per run"]
    is_published = any(row.clotho for row in table.rows)
    if is_published:
        head.append("Clotho, published: R@1 / R@5 / R@10 / mAP@10")
    lines = [_line(head), _line(["---"] * len(head))]
    for row in table.rows:
        runs = results.of(row)
        cells = [_spread([run["metrics"][SETS[0]][measure] for run in runs]) for measure in MEASURES]
        cells.append(_spread([run["metrics"]["names"]["map_at_10"] for run in runs]))
        ranks = [run["rank"] for run in runs if "rank" in run]
        cells.append(f"{np.mean(ranks):.1f}" if ranks else "–")
        cells.append(_seconds(runs))
        if is_published:
            figures = [f"{row.clotho[measure]:.2f}" for measure in MEASURES if measure in row.clotho]
            cells.append(" / ".join(figures) or "–")
        few = "" if len(runs) in (0, len(SEEDS)) else f" ({len(runs)} of {len(SEEDS)} seeds)"
        lines.append(_line([row.name + few, *cells]))
    return "\n".join(lines)


def fill(page: str, tables: Mapping[str, str]) -> str:
    """The page with each table between ``<!-- table NAME -->`` and ``<!-- end -->``.

    Raises:
        KnownError: ``page_markers`` when the page has no place for a table.
    """
    for name, content in tables.items():
        place = re.compile(rf"(<!-- table {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not place.search(page):
            raise KnownError(
                ErrorKind.PAGE_MARKERS, f"The page has no marker for table {name}.", "Add it, or remove the file."
            )
        page = place.sub(lambda found, content=content: f"{found[1]}{content}\n{found[2]}", page)  # type: ignore[misc]
    return page


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "not run"
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def _seconds(runs: Sequence[Mapping[str, Any]]) -> str:
    """Mean seconds a run, each kind of device by itself; those of the CPU stand without its name."""
    seconds: dict[str, list[int]] = {}
    for run in runs:
        seconds.setdefault(run.get("device", "cpu"), []).append(run["seconds"])  # the oldest runs do not say, all CPU's
    means = [f"{np.mean(seconds[device]):.0f} ({device})" for device in sorted(seconds)]
    return ", ".join(means).replace(" (cpu)", "") or "–"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description="Reproduce the comparisons of Koh & Chng 2022 on our own sounds.")
    parser.add_argument("--table", help="only this one, a file's name in configs/paper without .json")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS, help="only these (default: 0 1 2)")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the page (%(default)s)")
    parser.add_argument("--page-only", action="store_true", help="write the page from the figures there are")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where to train (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="threads to compute with (default: all)")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    results = Results(chosen.docs / "paper-tables.json")
    try:
        tables = [load_table(path) for path in sorted(CONFIGS.glob("*.json"))]
        if not chosen.page_only:
            device = available(chosen.device)
            make_stand_ins(CACHE / "stand-ins", MINILM)
            for seed in chosen.seeds:
                for table in sorted(tables, key=lambda table: table.name == LAST):
                    if chosen.table in (None, table.name):
                        _run_missing(table, seed, CACHE, results, device)
        page = chosen.docs / "paper-tables.md"
        content = fill(page.read_text(encoding="utf-8"), {each.name: as_markdown(each, results) for each in tables})
        page.write_text(content, encoding="utf-8", newline="\n")
    except KnownError as error:
        sys.exit(f"{error} {error.hint}")


def _run_missing(table: Table, seed: int, cache: Path, results: Results, device: str) -> None:
    for row in table.rows:
        if seed not in [run["seed"] for run in results.of(row)]:
            recipe = parse_config(Recipe, row.recipe, row.source)
            missing = [value for _, value in flatten(recipe) if isinstance(value, Path) and not value.exists()]
            if missing:
                log.warning("%s: %s, seed %s: not run: %s is missing", table.name, row.name, seed, missing[0])
                continue
            log.info("%s: %s, seed %s", table.name, row.name, seed)
            results.add(run_row(table, row, seed, cache, device))


if __name__ == "__main__":
    main()
