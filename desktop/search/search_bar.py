"""The search box: a caption, or a chip that names the sound to find others like."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QToolButton, QWidget

from desktop.search.pages import EXAMPLES
from desktop.search.search_session import like_sound
from desktop.widgets.icons import Icons
from desktop.widgets.theme import Theme
from desktop.widgets.throttle import Throttle
from engine.library.query import Query

THROTTLE_MS = 150
PLACEHOLDER_MS = 6000
CHIP_NAME_PX = 260


class SearchBar(QFrame):
    """Emits ``query_changed`` while the user types, no oftener than every 150 ms, and at once on Enter.

    Signals:
        query_changed(Query): what to search for now.
        left_downwards(): the Down key: go to the results.
    """

    query_changed = Signal(Query)
    left_downwards = Signal()

    def __init__(
        self, theme: Theme, icons: Icons, throttle_ms: int = THROTTLE_MS, placeholder_ms: int = PLACEHOLDER_MS
    ) -> None:
        super().__init__()
        self.setObjectName("searchField")
        self.setProperty("focused", False)
        self._sound: Path | None = None
        self._caption_before = ""
        self._throttle = Throttle(throttle_ms, parent=self)
        self._throttle.passed.connect(self.query_changed)

        self.edit = QLineEdit()
        self.edit.setAccessibleName("Describe a sound")
        self.edit.setFont(theme.fonts.field)
        self.edit.setMinimumHeight(30)
        self.edit.setAcceptDrops(False)  # the whole window takes drops
        self.edit.textEdited.connect(self._edited)
        self.edit.installEventFilter(self)

        self.clear_button = QToolButton()
        self.clear_button.setAccessibleName("Clear the search")
        self.clear_button.setToolTip("Clear the search")
        self.clear_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.clear_button.clicked.connect(self.clear)
        icons.bind(self.clear_button, "close")
        self.chip, self.chip_name = self._make_chip(icons)

        row = QHBoxLayout(self)
        row.setContentsMargins(13, 6, 8, 6)
        row.setSpacing(9)
        row.addWidget(icons.mark("search", 20))
        row.addWidget(self.chip)
        row.addWidget(self.edit, 1)
        row.addWidget(self.clear_button)

        self._examples = cycle(EXAMPLES)
        self._example = next(self._examples)
        rotation = QTimer(self)
        rotation.setInterval(placeholder_ms)
        rotation.timeout.connect(self._next_placeholder)
        rotation.start()
        self._show_state()
        self.setFocusProxy(self.edit)

    @property
    def query(self) -> Query:
        """What the box says now."""
        return like_sound(self._sound) if self._sound is not None else Query(self.edit.text().strip())

    def search_caption(self, caption: str) -> None:
        """Put a caption into the box and search for it now."""
        self._sound = None
        self.edit.setText(caption)
        self._show_state()
        self._throttle.flush(self.query)

    def search_similar(self, sound: Path) -> None:
        """Show a chip for a sound and search for others like it now."""
        if self._sound is None:
            self._caption_before = self.edit.text()
        self._sound = sound
        self.edit.clear()
        self._show_state()
        self._throttle.flush(self.query)

    def clear(self) -> None:
        """Empty the box; from a chip, return to the caption that stood there before."""
        self.search_caption(self._caption_before if self._sound is not None else "")
        self.focus()

    def focus(self) -> None:
        """Put the cursor into the box, its text selected so that typing replaces it."""
        self.edit.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.edit.selectAll()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Handle the keys that leave the box, and show the focus on the frame around it."""
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.setProperty("focused", event.type() == QEvent.Type.FocusIn)
            self.style().unpolish(self)
            self.style().polish(self)
        elif isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            return self._key(event)
        return super().eventFilter(watched, event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click anywhere in the frame is a click into the box."""
        self.edit.setFocus(Qt.FocusReason.MouseFocusReason)
        event.accept()

    def _key(self, event: QKeyEvent) -> bool:
        key = event.key()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._throttle.flush(self.query)
        elif key in (Qt.Key.Key_Down, Qt.Key.Key_PageDown):
            self.left_downwards.emit()
        elif key == Qt.Key.Key_Backspace and self._sound is not None and not self.edit.text():
            self.clear()
        else:
            return False
        return True

    def _edited(self, text: str) -> None:
        if text:
            self._sound = None
        self._show_state()
        self._throttle.push(self.query)

    def _show_state(self) -> None:
        sound = self._sound
        self.chip.setVisible(sound is not None)
        self.clear_button.setVisible(self.query.asks)
        self._show_placeholder()
        if sound is not None:
            metrics = self.chip_name.fontMetrics()
            name = metrics.elidedText(sound.name, Qt.TextElideMode.ElideMiddle, CHIP_NAME_PX)
            self.chip_name.setText(f"Like  {name}")
            self.chip.setToolTip(str(sound))

    def _next_placeholder(self) -> None:
        self._example = next(self._examples)
        self._show_placeholder()

    def _show_placeholder(self) -> None:
        similar = self._sound is not None
        self.edit.setPlaceholderText("or describe a sound" if similar else f"Describe a sound: {self._example}")

    def _make_chip(self, icons: Icons) -> tuple[QWidget, QLabel]:
        chip = QFrame()
        chip.setObjectName("queryChip")
        name = QLabel()
        name.setTextFormat(Qt.TextFormat.PlainText)
        row = QHBoxLayout(chip)
        row.setContentsMargins(8, 4, 10, 4)
        row.setSpacing(6)
        row.addWidget(icons.mark("wave", 16, "accent"))
        row.addWidget(name)
        return chip, name

    def sizeHint(self) -> QSize:
        """A size tall enough for the field font and wide enough for a caption."""
        return QSize(480, super().sizeHint().height())
