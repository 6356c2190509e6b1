"""Chooses the output device, and says so when there is none."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QWidget

from desktop.playback.audio_output import OutputDevice
from desktop.playback.player import Player
from desktop.widgets.icons import Icons
from desktop.widgets.labels import ElidedLabel, tone
from desktop.wording import error_title

DEFAULT_NAME = "System default"


class OutputChooser(QWidget):
    """A list of the player's devices, or its problem with a button to look again.

    Signals:
        chosen(str): the key of the device the user chose; "" is the system's default.
    """

    chosen = Signal(str)

    def __init__(self, player: Player, icons: Icons, remembered: str) -> None:
        super().__init__()
        self._player = player
        self._wanted = remembered
        self._devices: dict[str, OutputDevice] = {}
        self.list = QComboBox()
        self.list.setAccessibleName("Output device")
        self.list.setToolTip("Output device")
        self.list.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.list.setMinimumContentsLength(8)
        self.list.activated.connect(self._activated)
        self.problem = ElidedLabel(Qt.TextElideMode.ElideRight)
        tone(self.problem, "warning")
        self.again = QToolButton()
        self.again.setToolTip("Look for output devices again")
        self.again.setAccessibleName("Look for output devices again")
        self.again.clicked.connect(player.refresh_devices)
        icons.bind(self.again, "refresh")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.list, 1)
        row.addWidget(self.problem, 1)
        row.addWidget(self.again)
        player.devices_changed.connect(self._show_devices)
        self._show_devices()

    def _show_devices(self) -> None:
        problem = self._player.problem
        self.list.setVisible(problem is None)
        self.problem.setVisible(problem is not None)
        if problem is not None:
            self.problem.set_text(error_title(problem.kind), str(problem))
            return
        self._devices = {_key(device): device for device in self._player.devices()}
        self.list.clear()
        self.list.addItem(DEFAULT_NAME, "")
        for key, device in self._devices.items():
            self.list.addItem(device.name, key)
            self.list.setItemData(self.list.count() - 1, f"{device.name} ({device.host})", 3)
        if self._wanted and self._wanted not in self._devices and self._devices:
            self.list.addItem(f"{self._wanted.partition('|')[0]} (not connected)", self._wanted)
        self.list.setCurrentIndex(max(0, self.list.findData(self._wanted)))
        if self._devices:
            self._player.set_device(self._devices.get(self._wanted))

    def _activated(self, row: int) -> None:
        self._wanted = self.list.itemData(row)
        self._player.set_device(self._devices.get(self._wanted))
        self.chosen.emit(self._wanted)


def _key(device: OutputDevice) -> str:
    """What a device is remembered by: its number may change between runs."""
    return f"{device.name}|{device.host}"
