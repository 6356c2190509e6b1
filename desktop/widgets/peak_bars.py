"""From stored peaks to the bars of a waveform."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter

BAR_PX = 2.0
GAP_PX = 1.0

Extent = tuple[float, float]


def peak_bars(painter: QPainter, rect: QRectF, peaks: bytes) -> list[QRectF]:
    """A rectangle for each bar that has room in ``rect``, on whole device pixels and at least one of them high."""
    if len(peaks) < 2 or rect.isEmpty():
        return []
    transform = painter.deviceTransform()
    scale_x, scale_y = transform.m11(), transform.m22()
    pitch = max(2, round((BAR_PX + GAP_PX) * scale_x))
    width = max(1, round(BAR_PX * scale_x))
    left = round(rect.left() * scale_x + transform.dx())
    middle = rect.center().y() * scale_y + transform.dy()
    half = rect.height() * scale_y / 2 / 127
    count = max(1, int((rect.width() * scale_x + pitch - width) // pitch))
    bars = []
    for number, (low, high) in enumerate(_columns(peaks, count)):
        top = round(middle - high * half)
        height = max(round(middle - low * half) - top, 1)
        x = (left + number * pitch - transform.dx()) / scale_x
        bars.append(QRectF(x, (top - transform.dy()) / scale_y, width / scale_x, height / scale_y))
    return bars


@lru_cache(maxsize=1024)
def _columns(peaks: bytes, count: int) -> tuple[Extent, ...]:
    """The (lowest, highest) of each of ``count`` equal stretches of the sound, from -127 to 127."""
    values = memoryview(peaks).cast("b")
    lows, highs = values[0::2].tolist(), values[1::2].tolist()
    stretches = min(len(lows), len(highs))
    if count > stretches:
        return tuple(_interpolate(lows, highs, count))
    edges = [column * stretches // count for column in range(count + 1)]
    return tuple((min(lows[a:b]), max(highs[a:b])) for a, b in pairwise(edges))


def _interpolate(lows: list[int], highs: list[int], count: int) -> Iterator[Extent]:
    """Columns, where there are more than stretches: on the straight lines between the stretches' middles."""
    last = len(lows) - 1
    for column in range(count):
        at = min(max((column + 0.5) * len(lows) / count - 0.5, 0.0), last)
        before = int(at)
        after, share = min(before + 1, last), at - before
        yield (
            lows[before] + (lows[after] - lows[before]) * share,
            highs[before] + (highs[after] - highs[before]) * share,
        )
