"""The strip at the bottom: what is at hand, its waveform, and how it is heard."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QSlider, QToolButton, QVBoxLayout, QWidget

from desktop.playback.audition import Audition
from desktop.playback.output_chooser import OutputChooser
from desktop.playback.player import PlayerState
from desktop.playback.waveform import WaveformView
from desktop.widgets.icons import Icons
from desktop.widgets.labels import ElidedLabel, tone
from desktop.widgets.theme import Theme
from desktop.wording import clock, is_whole, parent_trail, sample_format
from engine.library.types import Hit

CONTROLS_PX = 190
VOLUME_STEPS = 100


class PreviewStrip(QFrame):
    """Shows and steers an ``Audition``.

    Signals:
        volume_changed(float): 0 to 1.
    """

    volume_changed = Signal(float)

    def __init__(
        self, audition: Audition, outputs: OutputChooser, theme: Theme, icons: Icons, automatic: QAction
    ) -> None:
        super().__init__()
        self.setObjectName("previewStrip")
        self._audition = audition
        self._icons = icons
        self._theme = theme
        self._roots: tuple[Path, ...] = ()
        self.waveform = WaveformView(theme)
        self.waveform.setAccessibleName("Waveform: click to play from there")
        self.play_button = self._make_play_button()
        self.volume = self._make_volume()
        self.name, self.place, self.format = ElidedLabel(), ElidedLabel(Qt.TextElideMode.ElideLeft), QLabel()
        self.time = QLabel()
        for label in (self.place, self.format, self.time):
            tone(label, "muted")

        row = QHBoxLayout(self)
        row.setContentsMargins(16, 12, 16, 14)
        row.setSpacing(16)
        row.addWidget(self.play_button, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addLayout(self._lay_out_sound(), 1)
        row.addLayout(self._lay_out_controls(outputs, automatic))

        audition.hit_changed.connect(self._show_hit)
        audition.state_changed.connect(self._show_state)
        audition.position_changed.connect(self._show_position)
        self.waveform.seek_requested.connect(audition.seek)
        icons.redraw_with_theme(self, lambda: self._show_state(audition.state))
        self._show_hit(None)

    def set_roots(self, roots: tuple[Path, ...]) -> None:
        """Tell the library's folders, so that paths are shown from there."""
        self._roots = roots

    def set_volume(self, volume: float) -> None:
        """Move the slider."""
        self.volume.setValue(round(volume * VOLUME_STEPS))

    def sizeHint(self) -> QSize:
        """A size high enough to read the waveform."""
        return QSize(super().sizeHint().width(), 128)

    def _show_hit(self, hit: Hit | None) -> None:
        self.play_button.setEnabled(hit is not None)
        if hit is None:
            self.name.set_text("Select a sound to hear it")
            tone(self.name, "faint")
            self.name.setFont(self._theme.fonts.body)
            self.place.set_text("")
            self.format.setText("")
            self.waveform.clear()
        else:
            self.name.set_text(hit.path.name, str(hit.path))
            tone(self.name, "")
            self.name.setFont(self._theme.fonts.strong)
            self.place.set_text(parent_trail(hit.path, self._roots), str(hit.path))
            self.format.setText(sample_format(hit))
            segment = None if is_whole(hit) else (hit.start_s, hit.end_s)
            self.waveform.set_sound(hit.peaks, hit.duration_s, segment)
        self._show_time(None)

    def _show_state(self, state: PlayerState) -> None:
        playing = state is not PlayerState.STOPPED
        self.play_button.setIcon(self._icons.icon("stop" if playing else "play", "on_accent"))
        self.play_button.setAccessibleName("Stop" if playing else "Play")
        self.play_button.setToolTip("Stop (Space)" if playing else "Play (Space)")
        if not playing:
            self.waveform.set_position(None)
            self._show_time(None)

    def _show_position(self, position_s: float) -> None:
        self.waveform.set_position(position_s)
        self._show_time(position_s)

    def _show_time(self, position_s: float | None) -> None:
        hit = self._audition.hit
        if hit is None:
            self.time.setText("")
        elif position_s is None:
            self.time.setText(clock(hit.duration_s))
        else:
            self.time.setText(f"{clock(position_s)} / {clock(hit.duration_s)}")

    def _make_play_button(self) -> QToolButton:
        button = QToolButton()
        button.setObjectName("playButton")
        button.setFixedSize(44, 44)
        button.setIconSize(QSize(22, 22))
        button.clicked.connect(self._audition.toggle)
        return button

    def _make_volume(self) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(0, VOLUME_STEPS)
        slider.setPageStep(10)
        slider.setAccessibleName("Volume")
        slider.valueChanged.connect(self._volume_moved)
        return slider

    def _volume_moved(self, value: int) -> None:
        self.volume.setToolTip(f"Volume {value} %")
        self.volume_changed.emit(value / VOLUME_STEPS)

    def _lay_out_sound(self) -> QVBoxLayout:
        title = QHBoxLayout()
        title.setSpacing(14)
        self.name.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        title.addWidget(self.name)
        title.addWidget(self.place, 1)
        title.addWidget(self.format)
        title.addWidget(self.time)
        column = QVBoxLayout()
        column.setSpacing(8)
        column.addLayout(title)
        column.addWidget(self.waveform, 1)
        self.waveform.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        return column

    def _lay_out_controls(self, outputs: QWidget, automatic: QAction) -> QVBoxLayout:
        toggle = QToolButton()
        toggle.setDefaultAction(automatic)
        toggle.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        toggle.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        level = QHBoxLayout()
        level.setSpacing(8)
        level.addWidget(self._icons.mark("volume", 18))
        level.addWidget(self.volume, 1)
        column = QVBoxLayout()
        column.setSpacing(6)
        column.addStretch(1)
        column.addWidget(toggle)
        column.addLayout(level)
        outputs.setFixedWidth(CONTROLS_PX)
        column.addWidget(outputs)
        column.addStretch(1)
        return column
