"""Looking whether folders are there, without waiting for drives that do not answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

PATIENCE_S: Final = 1.0


class Drives:
    """Asks after folders on threads of their own: a network drive that is gone can keep one waiting for minutes.

    Args:
        patience_s: How long to wait for an answer.
        look: Whether a path is a folder; never raises.
    """

    def __init__(self, patience_s: float = PATIENCE_S, look: Callable[[str], bool] = os.path.isdir) -> None:
        self._patience_s = patience_s
        self._look = look
        self._unanswered: dict[str, Future[bool]] = {}

    def has_folder(self, path: str) -> bool | None:
        """Whether a folder is there; None where its drive does not answer, which is waited for only once."""
        answer = self._unanswered.pop(path, None)
        patience_s = 0.0
        if answer is None:
            answer, patience_s = Future(), self._patience_s
            threading.Thread(target=self._ask, args=(path, answer), name="drives", daemon=True).start()
        try:
            return answer.result(patience_s)
        except TimeoutError:
            self._unanswered[path] = answer
            return None

    def _ask(self, path: str, answer: Future[bool]) -> None:
        answer.set_result(self._look(path))
