"""Tries the system's audio in a process of its own first: PortAudio and what lies under it can end a process.

Known on Linux: PortAudio fails an assertion where ALSA has no configuration, and JACK's library meets a bus error where
``/dev/shm`` is full.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Final

from engine import processes
from engine.errors import ErrorKind, KnownError

LONGEST_S: Final = 20.0

log = logging.getLogger(__name__)


def require_audio_to_start(longest_s: float = LONGEST_S) -> None:
    """Try PortAudio in a process of its own, which takes about 0.2 s; on Linux only, as elsewhere no crash is known.

    Raises:
        KnownError: ``audio_unavailable`` when that process crashes or does not end.
    """
    if not sys.platform.startswith("linux"):
        return
    trial = multiprocessing.get_context("spawn").Process(target=_start_portaudio, name="audio-trial", daemon=True)
    try:
        with processes.LOCK:
            trial.start()
    except OSError as error:  # no process can be had: not a word on the audio
        log.warning("The audio could not be tried: %s", error)
        return
    answered = bool(wait([trial.sentinel], longest_s))
    with processes.LOCK:
        if not answered:
            trial.kill()
        trial.join()
        exit_code = trial.exitcode or 0
        trial.close()
    if not answered:
        raise _unavailable("does not answer")
    if exit_code < 0:
        raise _unavailable(f"crashes when it starts ({signal.strsignal(-exit_code)})")


def _start_portaudio() -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.__stderr__.fileno() if sys.__stderr__ else 2)  # what is said here is said again in earnest
    with suppress(Exception):  # an error is no crash: it comes again, and is then reported
        import sounddevice  # noqa: F401 - importing it starts PortAudio
    os._exit(0)


def _unavailable(what: str) -> KnownError:
    return KnownError(
        ErrorKind.AUDIO_UNAVAILABLE,
        f"The system's audio {what}.",
        "Check its settings (ALSA, JACK) and the free space in /dev/shm, then look for output devices again.",
    )
