"""Draws the app icon's SVG into every size and format a system asks for. Run it after changing the SVG:

python resources/icons/render.py
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

ICONS = Path(__file__).parent
SIZES = (16, 24, 32, 48, 64, 128, 256, 512)
SMALL = 32
"""Sizes up to this one are drawn from the plainer SVG: thin detail turns to mud there."""
ICO_SIZES = (16, 24, 32, 48, 64, 256)
ICNS_TYPES = {16: b"icp4", 32: b"icp5", 64: b"icp6", 128: b"ic07", 256: b"ic08", 512: b"ic09"}


def render_png(size: int) -> bytes:
    """The icon as PNG, ``size`` pixels wide and high."""
    name = "foundsound-small.svg" if size <= SMALL else "foundsound.svg"
    renderer = QSvgRenderer(str(ICONS / name))
    image = QImage(size, size, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(0)
    painter = QPainter(image)
    renderer.render(painter)
    painter.end()
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not renderer.isValid() or not image.save(buffer, "PNG"):  # type: ignore[call-overload]  # a device is allowed
        raise RuntimeError(f"{name} could not be drawn")
    return bytes(data.data())


def ico(pngs: dict[int, bytes]) -> bytes:
    """A Windows icon file holding PNG images by their size in pixels."""
    header = struct.pack("<HHH", 0, 1, len(pngs))
    offset = len(header) + 16 * len(pngs)
    entries = b""
    for size, png in pngs.items():
        entries += struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(png), offset)
        offset += len(png)
    return header + entries + b"".join(pngs.values())


def icns(pngs: dict[int, bytes]) -> bytes:
    """A macOS icon file holding PNG images by their size in pixels."""
    body = b"".join(ICNS_TYPES[size] + struct.pack(">I", 8 + len(png)) + png for size, png in pngs.items())
    return b"icns" + struct.pack(">I", 8 + len(body)) + body


def main() -> None:
    """Write every rendering beside the SVG."""
    if sys.platform == "linux":
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    QGuiApplication([])
    pngs = {size: render_png(size) for size in SIZES}
    for size, png in pngs.items():
        (ICONS / f"foundsound-{size}.png").write_bytes(png)
    (ICONS / "foundsound.ico").write_bytes(ico({size: pngs[size] for size in ICO_SIZES}))
    (ICONS / "foundsound.icns").write_bytes(icns({size: pngs[size] for size in ICNS_TYPES}))


if __name__ == "__main__":
    main()
