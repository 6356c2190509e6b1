"""Lets a fast stream of values through at most once per interval, always ending with the newest."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal


class Throttle(QObject):
    """Emits ``passed`` with the newest value, no oftener than every ``interval_ms``.

    A trailing throttle waits one interval before the first value too; a leading one lets the first through at once.
    """

    passed = Signal(object)

    def __init__(self, interval_ms: int, leading: bool = False, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._leading = leading
        self._waiting: list[object] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(interval_ms)
        self._timer.timeout.connect(self._tick)

    def push(self, value: object) -> None:
        """Offer a value; it replaces one still waiting."""
        self._waiting = [value]
        if self._timer.isActive():
            return
        if self._leading:
            self._tick()
        else:
            self._timer.start()

    def flush(self, value: object) -> None:
        """Let a value through now, dropping what waited."""
        self.drop()
        self.passed.emit(value)

    def drop(self) -> None:
        """Forget the value that waits."""
        self._waiting = []
        self._timer.stop()

    def _tick(self) -> None:
        if self._waiting:
            value = self._waiting.pop()
            self._timer.start()
            self.passed.emit(value)
