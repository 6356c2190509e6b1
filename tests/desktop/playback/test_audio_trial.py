"""Audio that would end the app ends a process of its own instead."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from pathlib import Path

import pytest

from desktop.playback.audio_output import AudioOutput
from desktop.playback.audio_trial import require_audio_to_start
from desktop.playback.mixer import Mixer
from engine import processes
from engine.errors import KnownError
from tests.desktop.playback.audio_device import NO_DEVICE, NULL, use_alsa

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no crash is known elsewhere")


@pytest.mark.parametrize("configuration", [NULL, NO_DEVICE])
def test_audio_that_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, configuration: str) -> None:
    use_alsa(monkeypatch, tmp_path, configuration)
    require_audio_to_start()


def test_alsa_without_a_configuration_is_a_visible_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_alsa(monkeypatch, tmp_path, NULL)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(KnownError, match="crashes when it starts") as caught:
        require_audio_to_start()
    assert caught.value.kind == "audio_unavailable"
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    output = AudioOutput(Mixer())
    output.rescan()
    assert output.outputs.problem is not None
    assert output.outputs.problem.kind == "audio_unavailable"
    assert "sounddevice" not in sys.modules


def test_audio_that_never_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_alsa(monkeypatch, tmp_path, NULL)
    with pytest.raises(KnownError, match="does not answer"):
        require_audio_to_start(longest_s=0.0)


def test_it_waits_until_no_other_process_starts_or_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_alsa(monkeypatch, tmp_path, NULL)
    trial = threading.Thread(target=require_audio_to_start)
    before = multiprocessing.active_children()
    with processes.LOCK:
        trial.start()
        trial.join(0.1)
        assert trial.is_alive()
        assert multiprocessing.active_children() == before
    trial.join()
