"""How far indexing is: bar, speed, time left, pause and cancel; afterwards what it did."""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QToolButton, QVBoxLayout

from desktop.library_state import Library
from desktop.widgets.icons import Icons
from desktop.widgets.labels import ElidedLabel, tone
from desktop.widgets.theme import Theme
from desktop.wording import progress_counts, progress_rate, progress_title, quantity, summary
from engine.library.types import IndexPhase


class ProgressCard(QFrame):
    """Shows the progress of a ``Library``; hidden when there is nothing to say.

    Signals:
        pause_requested(), resume_requested(), cancel_requested(): its buttons.
    """

    pause_requested = Signal()
    resume_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, theme: Theme, icons: Icons) -> None:
        super().__init__()
        self.setObjectName("progressCard")
        self.title, self.counts, self.rate = QLabel(), ElidedLabel(), ElidedLabel()
        self.title.setFont(theme.fonts.strong)
        for label in (self.counts, self.rate):
            label.setFont(theme.fonts.small)
            tone(label, "muted")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Indexing")
        self.pause = self._button("pause", "Pause indexing", icons, self.pause_requested.emit)
        self.resume = self._button("resume", "Resume indexing", icons, self.resume_requested.emit)
        self.cancel = self._button("close", "Stop indexing; what is done stays", icons, self.cancel_requested.emit)
        head = QHBoxLayout()
        head.setSpacing(2)
        head.addWidget(self.title, 1)
        for button in (self.pause, self.resume, self.cancel):
            head.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 7, 8, 11)
        column.setSpacing(5)
        column.addLayout(head)
        column.addWidget(self.bar)
        column.addWidget(self.counts)
        column.addWidget(self.rate)
        self.hide()

    def show_library(self, library: Library) -> None:
        """Show where indexing stands, or what the last run did."""
        if library.busy:
            self._show_busy(library)
        elif library.opened and not library.encoder_ready and library.stopped is None:
            self._show_loading()
        else:
            self._show_idle(library)

    def _show_busy(self, library: Library) -> None:
        progress = library.progress
        paused = progress.phase is IndexPhase.PAUSED
        self.title.setText(progress_title(progress))
        self.bar.setRange(0, 0 if progress.phase is IndexPhase.SCANNING else max(1, progress.total))
        self.bar.setValue(progress.done)
        if self.bar.property("paused") != paused:
            self.bar.setProperty("paused", paused)
            self.bar.style().unpolish(self.bar)
            self.bar.style().polish(self.bar)
        self.bar.show()
        self.counts.set_text(progress_counts(progress))
        rate = progress_rate(progress)
        self.rate.set_text(rate, str(progress.current) if progress.current is not None else rate)
        self.counts.show()
        self.rate.setVisible(progress.phase is not IndexPhase.SCANNING)
        self.pause.setVisible(not paused)
        self.resume.setVisible(paused)
        self.cancel.setVisible(True)
        self.show()

    def _show_loading(self) -> None:
        self.title.setText("Getting ready")
        self.bar.setRange(0, 0)
        self.bar.show()
        self.counts.set_text("Loading the model")
        self.counts.show()
        for widget in (self.rate, self.pause, self.resume, self.cancel):
            widget.hide()
        self.show()

    def _show_idle(self, library: Library) -> None:
        stopped_early = library.cancelled and library.waiting > 0 and library.stopped is None
        added, others = summary(library.summary) if library.summary is not None else ("", "")
        self.title.setText(f"{quantity(library.waiting, 'sound')} not indexed" if stopped_early else "Up to date")
        self.bar.hide()
        for label, text in ((self.counts, added), (self.rate, others)):
            label.set_text(text)
            label.setVisible(bool(text))
        self.pause.hide()
        self.resume.setVisible(stopped_early)
        self.cancel.hide()
        self.setVisible(library.opened and (stopped_early or bool(added or others)))

    def _button(self, icon: str, text: str, icons: Icons, act: object) -> QToolButton:
        button = QToolButton()
        button.setIconSize(QSize(16, 16))
        button.setToolTip(text)
        button.setAccessibleName(text)
        button.clicked.connect(act)
        icons.bind(button, icon)
        return button
