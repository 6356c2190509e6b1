"""What the user does with the selected sounds."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication

from desktop.search.results_view import ResultsView
from desktop.search.search_bar import SearchBar
from desktop.widgets.reveal import Revealer


class SoundCommands(QObject):
    """Acts on what is selected in the results; does nothing when nothing is."""

    def __init__(self, view: ResultsView, search_bar: SearchBar, revealer: Revealer) -> None:
        super().__init__(view)
        self._view = view
        self._search_bar = search_bar
        self._revealer = revealer

    def find_similar(self) -> None:
        """Search for sounds like the current one."""
        hit = self._view.current_hit()
        if hit is not None:
            self._search_bar.search_similar(hit.path)

    def reveal(self) -> None:
        """Show the current sound in the file manager."""
        hit = self._view.current_hit()
        if hit is not None:
            self._revealer.reveal(hit.path)

    def copy_paths(self) -> None:
        """Copy the paths of the selected sounds, one a line."""
        hits = self._view.selected_hits()
        if hits:
            QGuiApplication.clipboard().setText("\n".join(str(hit.path) for hit in hits))
