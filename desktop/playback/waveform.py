"""Waveforms from stored peaks: small ones in the table, and the large one that shows and steers playing."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QGuiApplication,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
)
from PySide6.QtWidgets import QWidget

from desktop.widgets.peak_bars import peak_bars
from desktop.widgets.theme import Theme
from desktop.wording import clock

MIN_BAND_PX = 3.0
HEAD_PX = 2.0
UNDERLINE_PX = 2.0
MARGIN_PX = 5.0
CLICK_PX = 3
KEY_STEP_S = 1.0


def paint_peaks(
    painter: QPainter, rect: QRectF, peaks: bytes, colour: QColor, played_fraction: float | None = None
) -> None:
    """Paint a sound's peaks (as in ``Hit``) as bars that fill ``rect`` and stand on whole device pixels.

    What lies left of ``played_fraction`` (0 to 1) has the palette's accent in place of ``colour``.
    """
    bars = peak_bars(painter, rect, peaks)
    if played_fraction is None:
        _fill(painter, bars, colour)
        return
    head = rect.left() + rect.width() * played_fraction
    accent = QGuiApplication.palette().color(QPalette.ColorRole.Accent)
    _fill(painter, [bar for bar in bars if bar.center().x() <= head], accent)
    _fill(painter, [bar for bar in bars if bar.center().x() > head], colour)


class WaveformView(QWidget):
    """The waveform of one sound: the segment that matched, the play head, the time under the pointer.

    A click seeks; dragging moves a marker and seeks where it is let go. With the keyboard focus, which it takes by Tab
    only, Left and Right move by a second and Home to the start.

    Signals:
        seek_requested(float): seconds from the start of the sound.

    Args:
        theme: Colours and fonts.
    """

    seek_requested = Signal(float)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._peaks = b""
        self._duration_s = 0.0
        self._segment: tuple[float, float] | None = None
        self._position_s: float | None = None
        self._pointer_s: float | None = None
        self._pressed_x: float | None = None
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Waveform")
        self.setMinimumHeight(36)
        theme.changed.connect(self.update)
        self.clear()

    def set_sound(self, peaks: bytes, duration_s: float, segment: tuple[float, float] | None) -> None:
        """Show a sound, with the seconds that matched or None where that is all of it."""
        self._peaks, self._duration_s, self._segment = peaks, duration_s, segment
        self._position_s = self._pointer_s = self._pressed_x = None
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        matched = "" if segment is None else f", matched from {clock(segment[0])} to {clock(segment[1])}"
        self.setAccessibleDescription(f"{clock(duration_s)} long{matched}")
        self.update()

    def clear(self) -> None:
        """Show no sound."""
        self.set_sound(b"", 0.0, None)
        self.unsetCursor()
        self.setAccessibleDescription("No sound")

    def set_position(self, position_s: float | None) -> None:
        """Put the play head there; None hides it."""
        if position_s != self._position_s:
            self._position_s = position_s
            self.update()

    def sizeHint(self) -> QSize:
        """A size that can be read."""
        return QSize(400, 72)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the band, the bars, the play head and the pointer."""
        painter = QPainter(self)
        area = QRectF(self.rect())
        if self._duration_s <= 0:
            self._paint_silence(painter, area)
        else:
            self._paint_bars(painter, area)
            if self._position_s is not None:
                self._paint_line(painter, self._x(self._position_s), "accent_strong", HEAD_PX)
            if self._pointer_s is not None:
                self._paint_pointer(painter, self._pointer_s)
        if self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(self._theme.colour("accent"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(area.adjusted(1, 1, -1, -1), 5, 5)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Seek at once."""
        if event.button() is Qt.MouseButton.LeftButton and self._duration_s > 0:
            self._pressed_x = event.position().x()
            self.seek_requested.emit(self._time(self._pressed_x))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell the time under the pointer."""
        if self._duration_s > 0:
            self._pointer_s = self._time(event.position().x())
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Seek to where a drag ended."""
        if event.button() is not Qt.MouseButton.LeftButton or self._pressed_x is None:
            return
        dragged = abs(event.position().x() - self._pressed_x) > CLICK_PX
        self._pressed_x = None
        if dragged:
            self.seek_requested.emit(self._time(event.position().x()))
        if not self.rect().contains(event.position().toPoint()):
            self._forget_pointer()

    def enterEvent(self, event: QEnterEvent) -> None:
        """Tell the time under the pointer."""
        if self._duration_s > 0:
            self._pointer_s = self._time(event.position().x())
            self.update()

    def leaveEvent(self, _event: QEvent) -> None:
        """Forget the pointer, unless it drags."""
        if self._pressed_x is None:
            self._forget_pointer()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Seek by keys."""
        segment_start_s = 0.0 if self._segment is None else self._segment[0]
        at_s = segment_start_s if self._position_s is None else self._position_s
        step_s = min(KEY_STEP_S, self._duration_s / 10)
        targets = {Qt.Key.Key_Left: at_s - step_s, Qt.Key.Key_Right: at_s + step_s, Qt.Key.Key_Home: 0.0}
        target_s = targets.get(Qt.Key(event.key()))
        if target_s is None or self._duration_s <= 0:
            super().keyPressEvent(event)
        else:
            self.seek_requested.emit(min(max(target_s, 0.0), self._duration_s))

    def _forget_pointer(self) -> None:
        self._pointer_s = None
        self.update()

    def _x(self, time_s: float) -> float:
        return self.width() * min(max(time_s / self._duration_s, 0.0), 1.0)

    def _time(self, x: float) -> float:
        return self._duration_s * min(max(x / max(self.width(), 1), 0.0), 1.0)

    def _paint_silence(self, painter: QPainter, area: QRectF) -> None:
        line = QRectF(area.left(), area.center().y(), area.width(), 1)
        painter.fillRect(line, self._theme.colour("line"))

    def _paint_bars(self, painter: QPainter, area: QRectF) -> None:
        left, right = 0.0, area.right()
        if self._segment is not None:
            left, right = self._x(self._segment[0]), self._x(self._segment[1])
            right = max(right, left + MIN_BAND_PX)
            self._paint_band(painter, QRectF(left, area.top(), right - left, area.height()))
        head = -1.0 if self._position_s is None else self._x(self._position_s)
        groups: dict[str, list[QRectF]] = {"accent": [], "wave_match": [], "wave": []}
        for bar in peak_bars(painter, area.adjusted(0, MARGIN_PX, 0, -MARGIN_PX), self._peaks):
            x = bar.center().x()
            groups["accent" if x <= head else "wave_match" if left <= x <= right else "wave"].append(bar)
        for role, bars in groups.items():
            _fill(painter, bars, self._theme.colour(role))

    def _paint_band(self, painter: QPainter, band: QRectF) -> None:
        """The segment's background, underlined, because the bars of a quiet segment are easily missed."""
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.colour("match_band"))
        painter.drawRoundedRect(band, 4, 4)
        painter.setClipRect(band.adjusted(0, band.height() - UNDERLINE_PX, 0, 0))
        painter.setBrush(self._theme.colour("accent"))
        painter.setOpacity(0.7)
        painter.drawRoundedRect(band, 4, 4)
        painter.restore()

    def _paint_line(self, painter: QPainter, x: float, role: str, width: float) -> None:
        left = min(max(x - width / 2, 0.0), self.width() - width)
        painter.fillRect(_on_pixels(painter, QRectF(left, 0, width, self.height())), self._theme.colour(role))

    def _paint_pointer(self, painter: QPainter, time_s: float) -> None:
        """A thin line with its time beside it, on the side where there is room."""
        x = self._x(time_s)
        self._paint_line(painter, x, "text", 1.0)
        painter.setFont(self._theme.fonts.small)
        metrics = painter.fontMetrics()
        text = clock(time_s)
        label = QRectF(0, 0, metrics.horizontalAdvance(text) + 12, metrics.height() + 4)
        label.moveTopLeft(QPointF(x + 5, 2))
        if label.right() > self.width():
            label.moveRight(x - 5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.colour("raised"))
        painter.drawRoundedRect(label, 4, 4)
        painter.setPen(self._theme.colour("text"))
        painter.drawText(label, Qt.AlignmentFlag.AlignCenter, text)


def _fill(painter: QPainter, bars: list[QRectF], colour: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawRects(bars)


def _on_pixels(painter: QPainter, rect: QRectF) -> QRectF:
    """The nearest rectangle of whole device pixels."""
    device = painter.deviceTransform()
    back, _ = device.inverted()
    return back.mapRect(QRectF(device.mapRect(rect).toRect()))
