"""A layout that puts widgets side by side, centred, and goes on in the next row where the width ends."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget


class FlowLayout(QLayout):
    """Rows of widgets at their natural size, each row at most ``widest`` pixels wide."""

    def __init__(self, parent: QWidget, widest: int, gap: int = 8) -> None:
        super().__init__(parent)
        self._widest = widest
        self._items: list[QLayoutItem] = []
        self.setSpacing(gap)
        self.setContentsMargins(0, 0, 0, 0)

    def addItem(self, item: QLayoutItem) -> None:
        """Append an item."""
        self._items.append(item)

    def count(self) -> int:
        """Number of items."""
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        """The item at a place, or None beyond the last."""
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        """Remove and return the item at a place."""
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        """It wants no more than it needs."""
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        """Fewer columns need more rows."""
        return True

    def heightForWidth(self, width: int) -> int:
        """The height of all rows."""
        rows = self._rows(width)
        margins = self.contentsMargins()
        around = margins.top() + margins.bottom()
        return around + sum(_height(row) for row in rows) + self.spacing() * max(0, len(rows) - 1)

    def setGeometry(self, rect: QRect) -> None:
        """Place the items."""
        super().setGeometry(rect)
        top = rect.top() + self.contentsMargins().top()
        for row in self._rows(rect.width()):
            left = rect.left() + (rect.width() - self._row_width(row)) // 2
            for item in row:
                item.setGeometry(QRect(QPoint(left, top), item.sizeHint()))
                left += item.sizeHint().width() + self.spacing()
            top += _height(row) + self.spacing()

    def sizeHint(self) -> QSize:
        """The size of all items in one row."""
        return QSize(self._row_width(self._items), _height(self._items))

    def minimumSize(self) -> QSize:
        """The size of the widest item alone."""
        return QSize(max((item.sizeHint().width() for item in self._items), default=0), _height(self._items))

    def _row_width(self, row: list[QLayoutItem]) -> int:
        return sum(item.sizeHint().width() for item in row) + self.spacing() * max(0, len(row) - 1)

    def _rows(self, width: int) -> list[list[QLayoutItem]]:
        rows: list[list[QLayoutItem]] = []
        for item in self._items:
            if rows and self._row_width([*rows[-1], item]) <= min(width, self._widest):
                rows[-1].append(item)
            else:
                rows.append([item])
        return rows


def _height(row: list[QLayoutItem]) -> int:
    return max((item.sizeHint().height() for item in row), default=0)
