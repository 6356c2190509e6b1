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
        self.mark, self.title, self.body = QLabel(), QLabel(), QLabel()
        self.title.setFont(theme.fonts.title)
        tone(self.body, "muted")
        for label in (self.mark, self.title, self.body):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.title.setWordWrap(True)
        self.body.setWordWrap(True)
        self.busy = QProgressBar()
        self.busy.setRange(0, 0)
        self.busy.setTextVisible(False)
        self.busy.setFixedWidth(160)
        self.button = QPushButton()
        self.button.setProperty("kind", "primary")
        self.button.clicked.connect(self._act)
        self.chips = QWidget()
        self._flow = FlowLayout(self.chips, CHIPS_PX)
        self._flow.setContentsMargins(0, 10, 0, 0)

        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(12)
        column.addStretch(4)
        centre = Qt.AlignmentFlag.AlignHCenter
        column.addWidget(self.mark)
        column.addWidget(self.title)
        column.addWidget(self.body)
        column.addWidget(self.busy, 0, centre)
        column.addWidget(self.button, 0, centre)
        column.addWidget(self.chips)
        column.addStretch(5)
        icons.redraw_with_theme(self, self._show_mark)

    def show_page(self, page: Page) -> None:
        """Show a page."""
        if page == self.page:
            return
        if self.page is None or page.examples != self.page.examples:
            self._show_examples(page.examples)
        self.page = page
        self.title.setText(page.title)
        self.body.setText(page.body.strip())
        self.body.setVisible(bool(page.body.strip()))
        self.busy.setVisible(page.busy)
        self.button.setText(page.action.value)
        self.button.setVisible(page.action is not PageAction.NONE)
        self._show_mark()

    def _show_mark(self) -> None:
        if self.page is not None:
            role = "warning" if self.page.icon == "warning" else "faint"
            self.mark.setPixmap(self._icons.pixmap(self.page.icon, ICON_PX, role, self.devicePixelRatioF()))

    def _show_examples(self, examples: tuple[str, ...]) -> None:
        while (item := self._flow.takeAt(0)) is not None:
            chip = item.widget()
            if chip is not None:
                chip.deleteLater()
        for example in examples:
            self._flow.addWidget(self._chip(example))
        self.chips.setVisible(bool(examples))

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
