"""One background thread that does one job after another."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """Like a ThreadPoolExecutor with one thread, but the program can end while a job hangs, in a driver for instance.

    Args:
        name: The thread's name.
    """

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Have ``job`` done after those submitted before; the future has its result or what it raised."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                future.set_result(job())
            except Exception as error:
                future.set_exception(error)

        self._jobs.put(work)
        return future

    def close(self) -> None:
        """End the thread after the jobs submitted so far, without waiting for it."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (work := self._jobs.get()) is not None:
            work()
