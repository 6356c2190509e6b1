"""Indexes the bundled sounds into a temporary library with the command line and prints a few searches.

python -m tests.demo
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

DEMO = Path(__file__).parents[1] / "resources" / "demo"
CAPTIONS = (
    "dog barking",
    "rain on a roof",
    "glass breaking",
    "a crowd cheers",
    "somebody types on a keyboard",
    "rumble of thunder",
    "steam train whistle",
    "squeaky wooden door",
)
LIMIT = 3


@dataclass(frozen=True)
class Attribution:
    """One row of the demo sounds' ATTRIBUTION.md."""

    file: str
    title: str
    author: str
    licence: str
    page: str
    source: str
    split: str


def attributions() -> list[Attribution]:
    """Where the demo sounds come from: the rows of the table in ATTRIBUTION.md."""
    lines = (DEMO / "ATTRIBUTION.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [Attribution(*row) for row in rows[2:]]


def main() -> int:
    """Run the demo; returns the exit status of the first command that fails, else 0."""
    titles = {row.file: row.title for row in attributions()}
    with tempfile.TemporaryDirectory(prefix="foundsound-demo-") as scratch:
        library = Path(scratch) / "demo.foundsound"
        captions = Path(scratch) / "captions.txt"
        captions.write_text("\n".join(CAPTIONS), encoding="utf-8")

        print(f"foundsound index {DEMO} --library {library}", flush=True)
        indexing = _foundsound("index", str(DEMO), "--library", str(library))
        if indexing.returncode:
            return indexing.returncode

        print(f"\nfoundsound search CAPTION --library {library} --limit {LIMIT}", flush=True)
        options = ("--library", str(library), "--limit", str(LIMIT), "--json")
        searches = _foundsound("search", "--captions-file", str(captions), *options, capture=True)
        if searches.returncode:
            return searches.returncode

    print("(ranked by sound alone; the titles on the right are from ATTRIBUTION.md, the search does not see them)")
    for line in searches.stdout.splitlines():
        result = json.loads(line)
        print(f"\n{result['caption']}")
        for hit in result["hits"]:
            name = Path(hit["path"]).name
            print(f"  {hit['rank']}  {hit['score']:.3f}  {name}  {titles[name]}")
    return 0


def _foundsound(*arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would; its messages go to this terminal."""
    command = [sys.executable, "-m", "engine", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE if capture else None, check=False, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
