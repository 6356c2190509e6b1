"""What stands in place of the results: a message with perhaps a button, examples to try, or a sign of work."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from desktop.search.pages import Page, PageAction
from desktop.widgets.flow_layout import FlowLayout
from desktop.widgets.icons import Icons
from desktop.widgets.labels import tone
from desktop.widgets.theme import Theme

ICON_PX = 56
CHIPS_PX = 620


class EmptyState(QWidget):
    """Shows a ``Page``.

    Signals:
        action_requested(PageAction): its button.
        example_chosen(str): a caption to try.
    """

    action_requested = Signal(PageAction)
    example_chosen = Signal(str)

    def __init__(self, theme: Theme, icons: Icons) -> None:
        super().__init__()
        self._icons = icons
        self.page: Page | None = None
        self._mark, self._title, self._body = QLabel(), QLabel(), QLabel()
        self._title.setFont(theme.fonts.title)
        tone(self._body, "muted")
        for label in (self._mark, self._title, self._body):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._title.setWordWrap(True)
        self._body.setWordWrap(True)
        self._busy = QProgressBar()
        self._busy.setRange(0, 0)
        self._busy.setTextVisible(False)
        self._busy.setFixedWidth(160)
        self.button = QPushButton()
        self.button.setProperty("kind", "primary")
        self.button.clicked.connect(self._act)
        self._chips = QWidget()
        self._flow = FlowLayout(self._chips, CHIPS_PX)
        self._flow.setContentsMargins(0, 10, 0, 0)

        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(12)
        column.addStretch(4)
        centre = Qt.AlignmentFlag.AlignHCenter
        column.addWidget(self._mark)
        column.addWidget(self._title)
        column.addWidget(self._body)
        column.addWidget(self._busy, 0, centre)
        column.addWidget(self.button, 0, centre)
        column.addWidget(self._chips)
        column.addStretch(5)
        icons.follow(self, self._show_mark)

    def show_page(self, page: Page) -> None:
        """Show a page."""
        if page == self.page:
            return
        if self.page is None or page.examples != self.page.examples:
            self._show_examples(page.examples)
        self.page = page
        self._title.setText(page.title)
        self._body.setText(page.body.strip())
        self._body.setVisible(bool(page.body.strip()))
        self._busy.setVisible(page.busy)
        self.button.setText(page.action.value)
        self.button.setVisible(page.action is not PageAction.NONE)
        self._show_mark()

    def _show_mark(self) -> None:
        if self.page is not None:
            role = "warning" if self.page.icon == "warning" else "faint"
            self._mark.setPixmap(self._icons.pixmap(self.page.icon, ICON_PX, role, self.devicePixelRatioF()))

    def _show_examples(self, examples: tuple[str, ...]) -> None:
        while (item := self._flow.takeAt(0)) is not None:
            chip = item.widget()
            if chip is not None:
                chip.deleteLater()
        for example in examples:
            self._flow.addWidget(self._chip(example))
        self._chips.setVisible(bool(examples))

    def _chip(self, example: str) -> QPushButton:
        chip = QPushButton(example)
        chip.setProperty("kind", "chip")
        chip.setCursor(Qt.CursorShape.PointingHandCursor)
        chip.setAccessibleName(f"Search for {example}")
        chip.clicked.connect(lambda: self.example_chosen.emit(example))
        return chip

    def _act(self) -> None:
        if self.page is not None:
            self.action_requested.emit(self.page.action)
