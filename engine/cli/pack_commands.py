"""The commands about model packs: ``packs list, verify, use, build, install``."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.cli import console
from engine.cli.model_commands import CACHE, ConfigFile, read_recipe, require_training
from engine.cli.progress import phases
from engine.errors import ErrorKind, KnownError
from engine.models.packs import Pack, find_pack, installed_packs, size_on_disk, use_pack
from engine.paths import user_packs
from engine.unusable import describe

packs = typer.Typer(name="packs", help="List, verify, choose, build and install model packs.", no_args_is_help=True)

PackName = Annotated[str, typer.Argument(metavar="PACK", help="Its name, or its folder.", show_default=False)]


class Installable(StrEnum):
    """What ``packs install`` knows to fetch."""

    PAPER = "paper"


@dataclass(frozen=True)
class Row:
    """A line of ``packs list``, by the names that its JSON has."""

    id: str
    title: str
    version: str
    hash: str
    size_bytes: int
    folder: str
    in_use: bool


@packs.command(name="list")
def list_packs(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the installed packs and which one is in use."""
    folders = list(installed_packs())
    in_use: Path | None = None
    try:
        in_use = find_pack().folder
    except KnownError as error:
        console.note(f"warning: the pack in use: {error}")
    if in_use is not None and in_use not in folders:
        folders.append(in_use)
    rows = []
    for folder in sorted(folders, key=lambda folder: (folder.name, folder)):
        try:
            rows.append(_row(Pack.read(folder), folder == in_use))
        except KnownError as error:
            console.note(f"warning: {error}")
    if as_json:
        console.write_json([dataclasses.asdict(row) for row in rows])
        return
    for row in rows:
        mark = "*" if row.in_use else " "
        size = f"{row.size_bytes / 1e6:.1f} MB"
        console.write(f"{mark} {row.id}  {row.version or '-'}  {row.hash[:12]}  {size}  {row.folder}")


def _row(pack: Pack, in_use: bool) -> Row:
    about = {name: str(pack.manifest.get(name, "")) for name in ("name", "version")}
    return Row(
        pack.folder.name,
        about["name"],
        about["version"],
        pack.pack_hash,
        size_on_disk(pack),
        str(pack.folder),
        in_use,
    )


@packs.command()
def verify(
    pack: Annotated[str | None, typer.Argument(help="Its name, or its folder; else all.", show_default=False)] = None,
) -> None:
    """Check every file of a pack, or of all, against the SHA-256 in its pack.json."""
    if pack is not None:
        _verify(find_pack(pack))
        return
    broken = False
    for folder in installed_packs():
        try:
            _verify(Pack.read(folder))
        except KnownError as error:
            broken = True
            console.note(f"foundsound: {error}")
    if broken:
        raise typer.Exit(1)


def _verify(pack: Pack) -> None:
    pack.verify()
    console.write(f"{pack.pack_id}: {len(pack.manifest['files'])} files are whole ({pack.folder})")


@packs.command()
def use(pack: PackName) -> None:
    """Make a pack the one that the app and the command line use; “default” is the shipped one."""
    chosen = use_pack(pack)
    console.write(f"In use: {chosen.pack_id} ({chosen.pack_hash[:12]})")
    console.note("Sounds that another pack has indexed must be indexed again: foundsound index")


@packs.command()
def build(
    config: ConfigFile,
    weights: Annotated[Path, typer.Option(help="Output folder of a finished “foundsound train”.", show_default=False)],
    name: Annotated[str | None, typer.Option("--id", help="The pack's name; the configuration's by default.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the pack; among the installed packs by default.")
    ] = None,
) -> None:
    """Build a pack from a finished training."""
    require_training()
    from engine.training.config_files import about, find_config
    from engine.training.packing import pack_run

    path = find_config(config)
    recipe = read_recipe(path)
    pack_id = name or path.stem
    if Path(pack_id).name != pack_id or pack_id in {"", ".", "..", "default"}:
        raise KnownError(
            ErrorKind.PACK_NAME_INVALID, f"A pack cannot be named “{pack_id}”.", "Give a plain name with --id."
        )
    known, folder = about(path, pack_id, str(recipe.encoders.weights)), output or user_packs() / pack_id
    try:
        pack = pack_run(recipe, weights, pack_id, known, folder, CACHE)
    except OSError as error:
        raise KnownError(
            ErrorKind.PACK_FILE_FAILED,
            f"{error.filename or folder} cannot be used: {describe(error)}.",
            "Check its rights and the room on its disk, or name another --output.",
        ) from error
    console.write(f"{pack.pack_id} ({pack.pack_hash[:12]}) in {pack.folder}")
    console.write(f"Use it: foundsound packs use {pack.folder if output else pack.pack_id}")


@packs.command()
def install(
    what: Annotated[Installable, typer.Argument(help="paper: PANNs CNN10 and RoBERTa-base, about 530 MB.")],
    output: Annotated[Path, typer.Option(help="Folder for them; configurations expect the default.")] = Path(
        "data/paper"
    ),
) -> None:
    """Fetch published encoders to train with. Of all commands, this one alone uses the internet."""
    assert what is Installable.PAPER
    require_training()
    from rich.progress import DownloadColumn, TransferSpeedColumn

    from engine.training import paper

    with phases(DownloadColumn(), TransferSpeedColumn()) as shown:
        record = paper.install(output, paper.published(), shown.show)
    for entry in json.loads(record.read_text(encoding="utf-8")):
        checked = "its published MD5" if entry["md5"] else "its pinned SHA-256"
        console.write(f"{entry['file']}: {checked} is right; SHA-256 {entry['sha256']}")
    console.write(
        f"The encoders of the paper are in {output}; {record.name} there says where from, under which licences."
    )
    console.write(
        "Next: bring Clotho v2.1 to data/clotho, then foundsound train --config clotho-paper.json makes a pack."
    )
