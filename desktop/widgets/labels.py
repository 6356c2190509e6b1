"""Labels that shorten their text to the room they have."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QSizePolicy


class ElidedLabel(QLabel):
    """One line of plain text, elided to the width; the whole text is the tool tip."""

    def __init__(self, elide: Qt.TextElideMode = Qt.TextElideMode.ElideMiddle) -> None:
        super().__init__()
        self._elide = elide
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def set_text(self, text: str, tool_tip: str = "") -> None:
        """Show a text."""
        self.setText(text)
        self.setToolTip(tool_tip or text)

    def minimumSizeHint(self) -> QSize:
        """The label may be as narrow as need be."""
        return QSize(0, QFontMetrics(self.font()).height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw what fits."""
        painter = QPainter(self)
        text = painter.fontMetrics().elidedText(self.text(), self._elide, self.width())
        self.style().drawItemText(
            painter,
            self.contentsRect(),
            int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft),
            self.palette(),
            self.isEnabled(),
            text,
            self.foregroundRole(),
        )


def tone(label: QLabel, name: str) -> None:
    """Give a label one of the style sheet's tones: muted, faint, warning, danger. Restyling resets its font."""
    if label.property("tone") == name:
        return
    label.setProperty("tone", name)
    label.style().unpolish(label)
    label.style().polish(label)
