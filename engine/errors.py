"""Errors a user can act on. Anything that is not a KnownError is a bug."""

from __future__ import annotations


class KnownError(Exception):
    """A failure the user can understand and act on.

    Args:
        kind: Stable, machine-readable name such as ``"library_locked"``; the desktop chooses its wording by it.
        detail: What happened, in one plain sentence, naming the file or value concerned.
        hint: What to do next, in one plain sentence.
    """

    def __init__(self, kind: str, detail: str, hint: str = "") -> None:
        super().__init__(kind, detail, hint)
        self.kind = kind
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}".strip()
