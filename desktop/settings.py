"""What the app remembers between runs: typed, with defaults, in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar, overload

from PySide6.QtCore import QByteArray, QSettings

from desktop.widgets.theme import Appearance

T = TypeVar("T")


class _Setting(Generic[T]):
    """One value of ``Settings``. What cannot be read back falls back to the default."""

    def __init__(self, key: str, default: T, read: Callable[[str], T], write: Callable[[T], str]) -> None:
        self._key = key
        self._default = default
        self._read = read
        self._write = write

    @overload
    def __get__(self, instance: None, owner: type[Settings]) -> _Setting[T]: ...
    @overload
    def __get__(self, instance: Settings, owner: type[Settings]) -> T: ...
    def __get__(self, instance: Settings | None, owner: type[Settings]) -> T | _Setting[T]:
        if instance is None:
            return self
        text = instance.store.value(self._key)
        if not isinstance(text, str):
            return self._default
        try:
            return self._read(text)
        except ValueError:
            return self._default

    def __set__(self, instance: Settings, value: T) -> None:
        instance.store.setValue(self._key, self._write(value))


def _flag(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(text)
    return text == "yes"


def _fraction(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise ValueError(text)
    return value


def _bytes(text: str) -> QByteArray:
    return QByteArray(bytes.fromhex(text))


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _hex(value: QByteArray) -> str:
    return bytes(value.data()).hex()


class Settings:
    """Reads and writes the app's settings in the ``QSettings`` it is given."""

    geometry = _Setting("window/geometry", QByteArray(), _bytes, _hex)
    splitter = _Setting("window/splitter", QByteArray(), _bytes, _hex)
    library_visible = _Setting("window/library_visible", True, _flag, _yes_no)
    appearance = _Setting("window/appearance", Appearance.SYSTEM, Appearance, str)
    volume = _Setting("playback/volume", 0.8, _fraction, str)
    auto_audition = _Setting("playback/auto_audition", True, _flag, _yes_no)
    output_device = _Setting("playback/output_device", "", str, str)
    last_folder = _Setting("library/last_folder", Path.home(), Path, str)

    def __init__(self, store: QSettings) -> None:
        self.store = store

    def sync(self) -> None:
        """Write everything to disk now."""
        self.store.sync()
