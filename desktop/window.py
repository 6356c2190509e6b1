"""The main window: layout and menus, no logic."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QCloseEvent, QPaintEvent
from PySide6.QtWidgets import QMainWindow, QSplitter, QVBoxLayout, QWidget

from desktop.actions import Actions
from desktop.library.library_panel import LibraryPanel
from desktop.playback.preview_strip import PreviewStrip
from desktop.search.results_panel import ResultsPanel
from desktop.search.results_view import ResultsView
from desktop.search.search_bar import SearchBar
from desktop.widgets.banner import BannerArea
from engine.paths import APP_NAME


class MainWindow(QMainWindow):
    """Puts the parts together.

    Signals:
        painted(): it was painted for the first time, so the user sees it.
        closing(): the user closed it.
    """

    painted = Signal()
    closing = Signal()

    def __init__(
        self,
        actions: Actions,
        search_bar: SearchBar,
        banners: BannerArea,
        results: ResultsPanel,
        view: ResultsView,
        library: LibraryPanel,
        preview: PreviewStrip,
    ) -> None:
        super().__init__()
        self.setWindowTitle(APP_NAME)
        self.setMinimumSize(640, 460)
        self._was_painted = False
        self._library = library
        self.splitter = self._lay_out(search_bar, banners, results, library, preview)
        self._make_menus(actions)
        separator = QAction(view)
        separator.setSeparator(True)
        view.addActions([actions.toggle, actions.play_from_start, separator])
        view.addActions([actions.similar, actions.reveal, actions.copy_path])
        for place in (preview.waveform, preview.volume, library):
            place.addActions([actions.toggle, actions.play_from_start])
        self.setTabOrder(search_bar.edit, view)
        search_bar.focus()

    def restore(self, geometry: QByteArray, splitter: QByteArray) -> None:
        """Take the size and place of the last run."""
        if geometry.isEmpty() or not self.restoreGeometry(geometry):
            self.resize(self.sizeHint())
        if not splitter.isEmpty():
            self.splitter.restoreState(splitter)

    def sizeHint(self) -> QSize:
        """A size with room for all columns, as far as the screen allows."""
        return QSize(1240, 780).boundedTo(self.screen().availableSize())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Tell when the user sees the window."""
        super().paintEvent(event)
        if not self._was_painted:
            self._was_painted = True
            QTimer.singleShot(0, self.painted.emit)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Tell that the app is to end, before the window goes."""
        self.closing.emit()
        super().closeEvent(event)

    def _lay_out(
        self,
        search_bar: SearchBar,
        banners: BannerArea,
        results: ResultsPanel,
        library: LibraryPanel,
        preview: PreviewStrip,
    ) -> QSplitter:
        finder = QWidget()
        finder.setMinimumWidth(400)
        column = QVBoxLayout(finder)
        column.setContentsMargins(0, 12, 0, 0)
        column.setSpacing(10)
        above = QVBoxLayout()
        above.setContentsMargins(10, 0, 10, 0)
        above.setSpacing(10)
        above.addWidget(search_bar)
        above.addWidget(banners)
        column.addLayout(above)
        column.addWidget(results, 1)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setHandleWidth(1)
        splitter.setChildrenCollapsible(False)
        library.setMinimumWidth(190)
        splitter.addWidget(library)
        splitter.addWidget(finder)
        splitter.setStretchFactor(0, 0)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([260, 980])
        whole = QWidget()
        rows = QVBoxLayout(whole)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(splitter, 1)
        rows.addWidget(preview)
        self.setCentralWidget(whole)
        return splitter

    def _make_menus(self, actions: Actions) -> None:
        bar = self.menuBar()
        file = bar.addMenu("&File")
        file.addActions([actions.add_folder, actions.rescan, actions.failures])
        file.addSeparator()
        file.addAction(actions.quit)
        sound = bar.addMenu("&Sound")
        sound.addActions([actions.toggle, actions.play_from_start, actions.stop, actions.automatic])
        sound.addSeparator()
        sound.addActions([actions.similar, actions.reveal, actions.copy_path])
        view = bar.addMenu("&View")
        view.addActions([actions.find, actions.library_visible])
        view.addSeparator()
        view.addMenu("&Appearance").addActions(actions.appearances.actions())
        help_menu = bar.addMenu("&Help")
        help_menu.addActions([actions.shortcuts, actions.open_log, actions.about])
