"""Looking whether folders are there, without waiting long for drives that sleep or do not answer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

PATIENCE_S: Final = 1.0


class Drives:
    """Asks after folders on threads of their own: a network drive that is gone can keep one waiting for minutes.

    A folder is asked after once at a time, so at most one thread waits for each. For one thread.

    Args:
        patience_s: How long to wait for the answers to new questions, all together.
        look: Whether a path is a folder; never raises.
    """

    def __init__(self, patience_s: float = PATIENCE_S, look: Callable[[str], bool] = os.path.isdir) -> None:
        self._patience_s = patience_s
        self._look = look
        self._unanswered: dict[str, Future[bool]] = {}

    def have(self, folders: Sequence[str]) -> list[bool | None]:
        """Of each folder whether it is there; None while its drive has not answered, for which later calls do not wait
        again."""
        answers = []
        deadline_s = time.monotonic() + self._patience_s
        for folder in folders:
            answer = self._unanswered.get(folder)
            answers.append((answer or self._ask(folder), answer is None))
        return [
            self._heard(folder, answer, max(0.0, deadline_s - time.monotonic()) if is_new else 0.0)
            for folder, (answer, is_new) in zip(folders, answers, strict=True)
        ]

    def _ask(self, folder: str) -> Future[bool]:
        answer: Future[bool] = Future()
        self._unanswered[folder] = answer
        threading.Thread(target=lambda: answer.set_result(self._look(folder)), name="drives", daemon=True).start()
        return answer

    def _heard(self, folder: str, answer: Future[bool], patience_s: float) -> bool | None:
        try:
            found = answer.result(patience_s)
        except TimeoutError:
            return None
        self._unanswered.pop(folder, None)
        return found
