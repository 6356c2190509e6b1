"""Lists the sounds that could not be read, each with its reason and what to do about it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from desktop.widgets.labels import tone
from desktop.widgets.theme import Theme
from desktop.wording import error_title, quantity
from engine.library.types import Failure

_FAILURE_ROLE = Qt.ItemDataRole.UserRole


class FailuresDialog(QDialog):
    """A window of its own, not modal.

    Signals:
        opened(): it was shown and wants the failures.
        retry_requested(): try them all again.
        reveal_requested(Path): show one in the file manager.
    """

    opened = Signal()
    retry_requested = Signal()
    reveal_requested = Signal(Path)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Sounds that could not be read")
        self._failures: tuple[Failure, ...] = ()
        self._may_retry = True
        self.head = QLabel()
        self.head.setFont(theme.fonts.strong)
        self._note = QLabel("They are tried again when the file changes. All other sounds are searched as usual.")
        self._note.setWordWrap(True)
        tone(self._note, "muted")
        self.list = QTreeWidget()
        self.list.setAccessibleName("Sounds that could not be read")
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setHeaderLabels(["Sound", "Reason", "Folder"])
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.header().setStretchLastSection(True)
        self.list.header().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setColumnWidth(0, 250)
        self.list.setColumnWidth(1, 180)
        self.list.currentItemChanged.connect(self._show_detail)
        self.detail = QLabel()
        self.detail.setTextFormat(Qt.TextFormat.PlainText)
        self.detail.setWordWrap(True)
        self.detail.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.detail.setMinimumHeight(self.detail.fontMetrics().height() * 3)
        self.detail.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.retry = QPushButton("Try all again")
        self.retry.clicked.connect(self.retry_requested)
        self.reveal = QPushButton("Show in file manager")
        self.reveal.clicked.connect(self._reveal)
        self.copy = QPushButton("Copy list")
        self.copy.clicked.connect(self._copy)
        close = QPushButton("Close")
        close.setProperty("kind", "primary")
        close.setDefault(True)
        close.clicked.connect(self.close)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self.retry, self.reveal, self.copy):
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 16)
        column.setSpacing(10)
        column.addWidget(self.head)
        column.addWidget(self._note)
        column.addWidget(self.list, 1)
        column.addWidget(self.detail)
        column.addLayout(buttons)
        self.resize(self.sizeHint())
        self.show_failures(())
        self.head.setText("Looking them up")  # until the first answer, which can wait for the model to load

    def open_list(self) -> None:
        """Show the window and ask for what it lists."""
        self.show()
        self.raise_()
        self.activateWindow()
        self.opened.emit()

    def set_may_retry(self, may_retry: bool) -> None:
        """Say whether failed sounds may be tried again, which a read-only library does not allow."""
        self._may_retry = may_retry
        self.retry.setEnabled(may_retry and bool(self._failures))

    def show_failures(self, failures: tuple[Failure, ...]) -> None:
        """List these failures."""
        self._failures = failures
        self.head.setText(
            f"{quantity(len(failures), 'sound')} could not be read" if failures else "All sounds could be read"
        )
        self._note.setVisible(bool(failures))
        self.list.clear()
        items = []
        for failure in failures:
            item = QTreeWidgetItem([failure.path.name, error_title(failure.kind), str(failure.path.parent)])
            item.setData(0, _FAILURE_ROLE, failure)
            for column in range(3):
                item.setToolTip(column, str(failure.path))
            items.append(item)
        self.list.addTopLevelItems(items)
        if items:
            self.list.setCurrentItem(items[0])
        for button in (self.reveal, self.copy):
            button.setEnabled(bool(failures))
        self.set_may_retry(self._may_retry)

    def sizeHint(self) -> QSize:
        """A size with room for long names."""
        return QSize(760, 480)

    def _current(self) -> Failure | None:
        item = self.list.currentItem()
        failure = item.data(0, _FAILURE_ROLE) if item is not None else None
        return failure if isinstance(failure, Failure) else None

    def _show_detail(self) -> None:
        failure = self._current()
        self.detail.setText(f"{failure.detail}\n{failure.hint}".strip() if failure is not None else "")

    def _reveal(self) -> None:
        failure = self._current()
        if failure is not None:
            self.reveal_requested.emit(failure.path)

    def _copy(self) -> None:
        lines = (f"{failure.path}\t{failure.detail}" for failure in self._failures)
        QGuiApplication.clipboard().setText("\n".join(lines))
