"""Volumes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Volume:
    """A volume."""

    identity: str | None
    mount: Path
    is_network: bool


class Volumes:
    """Tells nothing."""

    def of(self, path: Path) -> Volume | None:
        return None

    def mounts(self, identity: str) -> tuple[Path, ...]:
        return ()
