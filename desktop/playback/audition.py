"""Decides what is heard: the sound at hand, from the segment that matched."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from desktop.playback.player import Player, PlayerState
from desktop.widgets.throttle import Throttle
from engine.errors import KnownError
from engine.library.types import Hit

AUDITION_MS = 90


class Audition(QObject):
    """Holds the sound at hand and plays it.

    While the arrow keys run through the results, sounds start no oftener than every 90 ms.

    Signals:
        hit_changed(Hit | None): another sound is at hand.
        state_changed(PlayerState): playing began or ended.
        position_changed(float): seconds into the sound at hand.
        failed(KnownError): it could not be played.
    """

    hit_changed = Signal(object)
    state_changed = Signal(PlayerState)
    position_changed = Signal(float)
    failed = Signal(KnownError)

    def __init__(self, player: Player, automatic: bool, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._player = player
        self.automatic = automatic
        self.hit: Hit | None = None
        self.state = PlayerState.STOPPED
        self.position_s = 0.0
        self._throttle = Throttle(AUDITION_MS, leading=True, parent=self)
        self._throttle.passed.connect(self._play_match)
        player.state_changed.connect(self._take_state)
        player.position_changed.connect(self._take_position)
        player.failed.connect(self.failed)

    @property
    def playing(self) -> bool:
        """Whether a sound is heard or about to be."""
        return self.state is not PlayerState.STOPPED

    def set_automatic(self, automatic: bool) -> None:
        """Say whether choosing a sound plays it."""
        self.automatic = automatic

    def choose(self, hit: Hit) -> None:
        """Make a sound the one at hand; it plays if auditioning is automatic."""
        self._set_hit(hit)
        if self.automatic:
            self._throttle.push(hit)
        elif self.playing:
            self.stop()

    def play(self, hit: Hit) -> None:
        """Play a sound from its matching segment, automatic or not."""
        self._set_hit(hit)
        self._throttle.flush(hit)

    def toggle(self) -> None:
        """Stop, or play the sound at hand from its matching segment."""
        if self.playing:
            self.stop()
        elif self.hit is not None:
            self._throttle.flush(self.hit)

    def play_from_start(self) -> None:
        """Play the whole of the sound at hand."""
        self.seek(0.0)

    def seek(self, time_s: float) -> None:
        """Play the sound at hand from a time on."""
        if self.hit is not None:
            self._throttle.drop()
            self._player.play(self.hit.path, min(max(0.0, time_s), self.hit.duration_s))

    def nudge(self, step_s: float) -> None:
        """Jump forwards or backwards within what plays."""
        if self.playing:
            self.seek(self.position_s + step_s)

    def stop(self) -> None:
        """Stop, and play nothing that was about to."""
        self._throttle.drop()
        self._player.stop()

    def _set_hit(self, hit: Hit) -> None:
        if hit != self.hit:
            self.hit = hit
            self.hit_changed.emit(hit)

    def _play_match(self, hit: Hit) -> None:
        self._player.play(hit.path, hit.start_s)

    def _take_state(self, state: PlayerState) -> None:
        self.state = state
        self.state_changed.emit(state)

    def _take_position(self, position_s: float) -> None:
        self.position_s = position_s
        self.position_changed.emit(position_s)
