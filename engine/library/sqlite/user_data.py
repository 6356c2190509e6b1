"""What the user has said of sounds, in tables that no indexing touches. None yet."""

from __future__ import annotations


class SqliteUserData:
    """See :class:`engine.library.protocols.UserData`."""
