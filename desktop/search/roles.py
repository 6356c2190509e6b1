"""What the results' model gives beside text."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt

HIT_ROLE: Final = Qt.ItemDataRole.UserRole
"""The Hit of a row."""
PLAYED_ROLE: Final = Qt.ItemDataRole.UserRole + 1
"""How much of a row's sound has played, 0 to 1; None where it is not playing."""
