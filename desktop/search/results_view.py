"""The results table: keys for auditioning, rows that can be dragged out as files, columns that fit the width."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QItemSelection, QItemSelectionModel, QModelIndex, QPoint, QRect, Qt, Signal
from PySide6.QtGui import (
    QDrag,
    QFocusEvent,
    QFontMetrics,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from desktop.search.columns import COLUMNS, Room, widths_px
from desktop.search.results_cells import row_height
from desktop.search.results_model import ResultsModel
from desktop.widgets.theme import Theme
from desktop.wording import quantity
from engine.library.types import Hit

NUDGE_S = 1.0


class ResultsView(QTableView):
    """Shows a ``ResultsModel``.

    Signals:
        hit_chosen(Hit): the user moved to a row, or clicked the current one again.
        play_requested(Hit): Enter or a double click.
        nudged(float): Left or Right: jump that many seconds within what plays.
        left_upwards(): Up from the first row.
        copy_requested(): the copy keys.
    """

    hit_chosen = Signal(Hit)
    play_requested = Signal(Hit)
    nudged = Signal(float)
    left_upwards = Signal()
    copy_requested = Signal()

    def __init__(self, model: ResultsModel, theme: Theme) -> None:
        super().__init__()
        self._model = model
        self._theme = theme
        self._hovered = -1
        self._pressed_row = -1
        self._restoring = False
        self.setModel(model)
        self.setAccessibleName("Results")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self._set_up_headers()
        self._set_up_cells()
        self.selectionModel().currentRowChanged.connect(self._current_changed)
        self.doubleClicked.connect(lambda index: self.play_requested.emit(model.hit(index.row())))
        self.entered.connect(lambda index: self._hover(index.row()))
        theme.changed.connect(self.viewport().update)

    def show_hits(self, hits: Sequence[Hit], keep: bool) -> None:
        """Show other hits. With ``keep`` the selection and the scroll position stay with their sounds."""
        if not keep:
            self._model.set_hits(hits)
            self.scrollToTop()
            return
        if tuple(hits) == self._model.hits:
            return
        current, chosen = self.current_hit(), {hit.sound_id for hit in self.selected_hits()}
        scrolled = self.verticalScrollBar().value()
        self._restoring = True
        self._model.set_hits(hits)
        self._restore(current, chosen)
        self._restoring = False
        self.verticalScrollBar().setValue(scrolled)

    def current_hit(self) -> Hit | None:
        """The hit of the current row, if any."""
        index = self.currentIndex()
        return self._model.hit(index.row()) if index.isValid() else None

    def selected_hits(self) -> list[Hit]:
        """The hits of all selected rows, from top to bottom."""
        rows = sorted(index.row() for index in self.selectionModel().selectedRows())
        return [self._model.hit(row) for row in rows]

    def enter(self) -> None:
        """Take the keyboard, going to the first row when none is current."""
        if self._model.rowCount() == 0 or not self.isVisible():
            return
        self._select_something()
        self.setFocus(Qt.FocusReason.OtherFocusReason)

    def is_hovered(self, row: int) -> bool:
        """Whether the pointer is on the row."""
        return row == self._hovered

    def is_current(self, row: int) -> bool:
        """Whether the row is the current one."""
        return row == self.currentIndex().row()

    def has_keyboard(self) -> bool:
        """Whether the table has the keyboard focus."""
        return self.hasFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Handle the keys beyond moving up and down."""
        hit = self.current_hit()
        key = event.key()
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_requested.emit()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and hit is not None:
            self.play_requested.emit(hit)
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self.nudged.emit(NUDGE_S if key == Qt.Key.Key_Right else -NUDGE_S)
        elif key == Qt.Key.Key_Up and self.currentIndex().row() <= 0:
            self.left_upwards.emit()
        else:
            super().keyPressEvent(event)

    def keyboardSearch(self, search: str) -> None:
        """Letters do nothing here: finding is what the search box is for."""

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Remember the row, to tell a click on the current row from one that moved there."""
        self._pressed_row = self.currentIndex().row()
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A plain click on the row that was current already chooses it again."""
        super().mouseReleaseEvent(event)
        index = self.indexAt(event.position().toPoint())
        plain = event.button() == Qt.MouseButton.LeftButton and not event.modifiers()
        if plain and index.isValid() and index.row() == self._pressed_row:
            self.hit_chosen.emit(self._model.hit(index.row()))

    def startDrag(self, supported: Qt.DropAction) -> None:
        """Drag the selected rows out as files, with a small label under the pointer."""
        hits = self.selected_hits()
        if not hits:
            return
        drag = QDrag(self)
        drag.setMimeData(self._model.mimeData(self.selectionModel().selectedRows()))
        drag.setPixmap(self._drag_label(hits[0].path.name if len(hits) == 1 else quantity(len(hits), "sound")))
        drag.setHotSpot(QPoint(-12, -8))
        drag.exec(supported, Qt.DropAction.CopyAction)

    def leaveEvent(self, event: QEvent) -> None:
        """Stop highlighting the row that was under the pointer."""
        self._hover(-1)
        super().leaveEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Arriving by Tab selects a row; arriving by mouse must not, before the click does."""
        if event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason):
            self._select_something()
        self._restoring = True  # Qt makes the first row current where none is
        super().focusInEvent(event)
        self._restoring = False
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Selected rows look different without the keyboard."""
        super().focusOutEvent(event)
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the columns into the width, leaving out the lesser ones where it is narrow."""
        super().resizeEvent(event)
        self._fit_columns(self.viewport().width())

    def _current_changed(self, current: QModelIndex) -> None:
        if current.isValid() and not self._restoring:
            self.hit_chosen.emit(self._model.hit(current.row()))

    def _select_something(self) -> None:
        if not self.selectionModel().hasSelection() and self._model.rowCount() > 0:
            self.selectRow(max(0, self.currentIndex().row()))

    def _restore(self, current: Hit | None, chosen: set[int]) -> None:
        selection = QItemSelection()
        for row in range(self._model.rowCount()):
            if self._model.hit(row).sound_id in chosen:
                selection.select(self._model.index(row, 0), self._model.index(row, len(COLUMNS) - 1))
        row_now = self._model.row_of(current.sound_id) if current is not None else None
        flag = QItemSelectionModel.SelectionFlag
        if row_now is not None:
            self.selectionModel().setCurrentIndex(self._model.index(row_now, 0), flag.NoUpdate)
        self.selectionModel().select(selection, flag.ClearAndSelect)

    def _hover(self, row: int) -> None:
        if row != self._hovered:
            self._hovered = row
            self.viewport().update()

    def _set_up_headers(self) -> None:
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(row_height(QFontMetrics(self._theme.fonts.body)))
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setMinimumSectionSize(40)
        header.setHighlightSections(False)
        header.setFont(self._theme.fonts.small)
        header.setSortIndicatorClearable(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)

    def _set_up_cells(self) -> None:
        for place, column in enumerate(COLUMNS):
            self.setItemDelegateForColumn(place, column.make_cell(self._theme, self, self))

    def _fit_columns(self, width: int) -> None:
        fonts = self._theme.fonts
        widths = widths_px(Room(width, QFontMetrics(fonts.body), QFontMetrics(fonts.small)))
        for place, column in enumerate(COLUMNS):
            self.setColumnHidden(place, column not in widths)
            self.setColumnWidth(place, max(40, widths.get(column, 0)))

    def _drag_label(self, text: str) -> QPixmap:
        metrics = QFontMetrics(self._theme.fonts.body)
        text = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, 280)
        ratio = self.devicePixelRatioF()
        area = QRect(0, 0, metrics.horizontalAdvance(text) + 24, metrics.height() + 12)
        pixmap = QPixmap(area.size() * ratio)
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.colour("accent"))
        painter.drawRoundedRect(area, 7, 7)
        painter.setFont(self._theme.fonts.body)
        painter.setPen(self._theme.colour("on_accent"))
        painter.drawText(area, Qt.AlignmentFlag.AlignCenter, text)
        painter.end()
        return pixmap
