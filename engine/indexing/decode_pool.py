"""A pool of processes that decode: native decoders crash and hang on bad files, and then cost one file, not the app.

Each worker process has a thread here that hands it jobs and takes in what it sends; all threads share one desk.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from engine import processes
from engine.errors import ErrorKind, KnownError
from engine.media.decode import Block, DecodeOptions, SoundInfo, decode, fingerprint_file
from engine.media.fingerprint import Fingerprint

log = logging.getLogger(__name__)

NICENESS = 10
START_LIMIT_S = 120.0
START_TRIES = 3
# Jobs that wait here cost nothing; too few would leave the workers idle between two polls where files are short.
JOBS_AHEAD = 64

_SIGN_OF_LIFE_S = 0.25
_WATCH_INTERVAL_S = 0.5
_EXIT_LIMIT_S = 2.0


@dataclass(frozen=True)
class Job:
    """A file to decode, or only to take the fingerprint of; ``by_file`` as in ``decode``."""

    job_id: int
    path: Path
    fingerprint_only: bool = False
    by_file: bool = False


Result = Block | SoundInfo | Fingerprint | KnownError
Message = tuple[int, Result]
"""A job's id and a part of its result. SoundInfo, Fingerprint and KnownError end the job, Blocks come before."""


class DecodePool:
    """Decodes files in worker processes, which start with the first job and end with ``close`` or with this process.

    Use from one thread.

    Args:
        options: What the encoder wants.
        workers: Number of processes; by default one per core, at most eight.
        time_limit_s: A worker that shows no sign of life for so long is killed, and its file fails.
        buffer_s: Seconds of decoded audio kept for ``poll``; beyond that, the workers wait.
    """

    def __init__(
        self, options: DecodeOptions, workers: int | None = None, time_limit_s: float = 60.0, buffer_s: float = 240.0
    ) -> None:
        self._workers = workers or min(8, os.cpu_count() or 2)
        self._desk = _Desk(round(buffer_s * options.sample_rate_hz))
        self._lines = [_Line(self._desk, options, time_limit_s) for _ in range(self._workers)]
        watchdog = threading.Thread(
            target=_watch, args=(self._desk, self._lines, time_limit_s), name="decode watchdog", daemon=True
        )
        watchdog.start()
        # Also runs when the pool is dropped without close(), and at the interpreter's exit.
        self._finish = weakref.finalize(self, _finish, self._desk, self._lines, watchdog)

    def submit(self, job: Job) -> None:
        """Queue a job. Jobs start in order; the results of several are mixed."""
        self._desk.submit(job)

    @property
    def in_flight(self) -> int:
        """Jobs submitted whose end ``poll`` has not returned yet."""
        return self._desk.in_flight

    @property
    def capacity(self) -> int:
        """How many more jobs are of use now, to keep the workers busy until the next poll."""
        return max(0, self._workers * JOBS_AHEAD - self._desk.undecoded)

    def poll(self, timeout_s: float) -> list[Message]:
        """What has arrived, the parts of each job in order; waits at most ``timeout_s`` for the first.

        Errors of a file are messages: those of ``decode``, and ``sound_timeout`` and ``sound_crashed``.

        Raises:
            KnownError: ``workers_unavailable`` when worker processes cannot be started.
        """
        return self._desk.collect(timeout_s)

    def close(self) -> None:
        """End the workers, whatever they are doing. Again is harmless."""
        self._finish()

    def worker_pids(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [pid for line in self._lines if (pid := line.pid) is not None]


def _finish(desk: _Desk, lines: list[_Line], watchdog: threading.Thread) -> None:
    desk.close()
    for line in lines:
        line.kill()
    for thread in (watchdog, *(line.thread for line in lines)):
        if thread is not threading.current_thread():  # where garbage is collected is not ours to choose
            thread.join()


def _watch(desk: _Desk, lines: list[_Line], time_limit_s: float) -> None:
    """Life of the watchdog: end the processes that have been silent too long, also those that stop in mid-message."""
    while not desk.wait_for_end(min(_WATCH_INTERVAL_S, time_limit_s / 4)):
        for line in lines:
            line.end_if_silent()


class _Desk:
    """Where the pool leaves jobs and the threads of the workers leave results."""

    def __init__(self, buffer_samples: int) -> None:
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._results: list[Message] = []
        self._buffer_samples = buffer_samples
        self._buffered = 0
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self.closed = False
        self.in_flight = 0
        self.undecoded = 0

    def submit(self, job: Job) -> None:
        with self._changed:
            if self.closed:
                raise RuntimeError("The pool is closed.")
            self._jobs.append(job)
            self.in_flight += 1
            self.undecoded += 1
            self._changed.notify_all()

    def collect(self, timeout_s: float) -> list[Message]:
        with self._changed:
            self._changed.wait_for(lambda: self._results or self._failure or self.closed, timeout_s)
            if isinstance(self._failure, KnownError):
                raise KnownError(self._failure.kind, self._failure.detail, self._failure.hint) from self._failure
            if self._failure is not None:
                raise RuntimeError("Decoding failed for another reason than a file.") from self._failure
            results, self._results, self._buffered = self._results, [], 0
            self.in_flight -= sum(not isinstance(result, Block) for _, result in results)
            self._changed.notify_all()
            return results

    def next_job(self) -> Job | None:
        """Wait for a job; None when the pool is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self.closed)
            return None if self.closed else self._jobs.popleft()

    def deliver(self, job_id: int, result: Result) -> None:
        """Leave a result, once there is room for it; in a closed pool, drop it."""
        with self._changed:
            if isinstance(result, Block):
                self._changed.wait_for(lambda: self._buffered < self._buffer_samples or self.closed)
            if self.closed:
                return
            if isinstance(result, Block):
                self._buffered += len(result.waveform)
            else:
                self.undecoded -= 1
            self._results.append((job_id, result))
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Make ``collect`` raise; what fails because the pool is being closed does not count."""
        with self._changed:
            if not self.closed:
                self._failure = error
                self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self.in_flight = self.undecoded = 0
            self._results = []
            self._changed.notify_all()
        self._ended.set()

    def wait_for_end(self, timeout_s: float) -> bool:
        """Whether the pool is closed, after waiting for that so long."""
        return self._ended.wait(timeout_s)


class _Line:
    """A worker process, replaced when it dies, and the thread that talks to it."""

    def __init__(self, desk: _Desk, options: DecodeOptions, time_limit_s: float) -> None:
        self._desk = desk
        self._options = options
        self._time_limit_s = time_limit_s
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._watching = threading.Lock()
        self._silent_from_s: float | None = None  # the time by which the process must be heard of, while it is awaited
        self._was_silent = False
        self.thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self.thread.start()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process else None

    def kill(self) -> None:
        """End the process, from any thread; this line's thread then finds the connection closed."""
        with processes.LOCK:
            if self._process:
                self._process.kill()

    def end_if_silent(self) -> None:
        """End the process if it is awaited and has not been heard of in time; called by the watchdog."""
        with self._watching:
            if self._silent_from_s is None or time.monotonic() < self._silent_from_s:
                return
            self._silent_from_s, self._was_silent = None, True
        self.kill()

    def _await(self, limit_s: float | None) -> None:
        """From now on the process must be heard of within the limit; None for any time."""
        with self._watching:
            self._silent_from_s = None if limit_s is None else time.monotonic() + limit_s

    def _end_watch(self) -> bool:
        """Whether it was the watchdog that ended the process."""
        with self._watching:
            was_silent, self._was_silent, self._silent_from_s = self._was_silent, False, None
            return was_silent

    def _run(self) -> None:
        if hasattr(signal, "pthread_sigmask"):  # the workers inherit it, so Ctrl+C leaves them alone from their start
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            while (job := self._desk.next_job()) is not None:
                self._desk.deliver(job.job_id, self._do(job))
        except Exception as error:
            self._desk.fail(error)
        finally:
            self._end_process()

    def _do(self, job: Job) -> Result:
        """Have a job done, deliver all of its result but the end, and return that.

        A process that dies or hangs before it has taken the job says nothing of the file: another one gets it.
        """
        for _ in range(START_TRIES):
            connection = self._ready_process()
            taken = False
            try:
                self._await(self._time_limit_s)
                connection.send(job)
                while True:
                    result: Result | str | None = connection.recv()
                    self._await(None)  # while nobody takes what it says, its silence is no sign of anything
                    taken = True
                    if isinstance(result, Block):
                        self._desk.deliver(job.job_id, result)
                    elif isinstance(result, str):
                        log.error("A bug showed while decoding %s\n%s", job.path, result)
                        return _crashed(job.path)
                    elif result is not None:
                        return result
                    self._await(self._time_limit_s)
            except (EOFError, OSError):
                if self._end_watch():
                    end, failure = "did not answer", _timed_out(job.path, self._time_limit_s)
                    self._end_process()
                else:
                    end, failure = f"ended with exit code {self._end_process(_EXIT_LIMIT_S)}", _crashed(job.path)
            if not self._desk.closed:
                log.warning("The decoder %s %s %s", end, "on" if taken else "before", job.path)
            if taken:
                return failure
        raise _unavailable(f"the last one {end}")

    def _ready_process(self) -> Connection:
        """Connection to a process that waits for a job: the present one, or a new one if it died meanwhile."""
        with processes.LOCK:
            alive = self._process is not None and self._process.is_alive()
        if self._connection is not None and alive:
            return self._connection
        for _ in range(START_TRIES):  # one may be killed before it is ready, as where memory is short
            self._end_process()
            connection = self._start_process()
            self._await(START_LIMIT_S)
            with contextlib.suppress(EOFError, OSError):
                if connection.recv() is None:
                    self._await(None)
                    return connection
            self._end_watch()
            exit_code = self._end_process(patience_s=_EXIT_LIMIT_S)
            if not self._desk.closed:
                log.warning("A decoder did not start: exit code %s", exit_code)
        raise _unavailable(f"they end with exit code {exit_code}")

    def _start_process(self) -> Connection:
        """Connection to a new process, which says None when it is ready."""
        context = multiprocessing.get_context("spawn")
        with processes.LOCK:
            if self._desk.closed:  # too late for kill(), so nobody would end it
                raise RuntimeError("The pool is closed.")
            try:
                self._connection, theirs = context.Pipe()
                with theirs:
                    process = context.Process(target=_work, args=(theirs, self._options), name="decode", daemon=True)
                    process.start()
            except OSError as error:  # a limit of open files or of processes, or memory is short
                raise _unavailable(error.strerror or str(error)) from error
            self._process = process
        return self._connection

    def _end_process(self, patience_s: float = 0.0) -> int | None:
        """Exit code of the process: its own if it ends within ``patience_s``, else that of being killed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        with processes.LOCK:
            process, self._process = self._process, None
        if process is None:
            return None
        wait([process.sentinel], patience_s)
        with processes.LOCK:
            process.kill()
            process.join()
            exit_code = process.exitcode
            process.close()
            return exit_code


def _unavailable(reason: str) -> KnownError:
    return KnownError(
        ErrorKind.WORKERS_UNAVAILABLE,
        f"The processes that decode sounds cannot be started: {reason}.",
        "Close other programs, or raise the limit on open files, processes or memory, and try again.",
    )


def _crashed(path: Path) -> KnownError:
    return KnownError(
        ErrorKind.SOUND_CRASHED, f"{path} made the decoder crash.", "Open it in an audio editor and save it again."
    )


def _timed_out(path: Path, limit_s: float) -> KnownError:
    return KnownError(
        ErrorKind.SOUND_TIMEOUT,
        f"{path} was given up: nothing could be read from it for {limit_s:g} seconds.",
        "Check the disk or the connection to it; or open it in an audio editor and save it again.",
    )


def _work(connection: Connection, options: DecodeOptions) -> None:
    """Life of a worker process: answer jobs until the connection closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection.send(None)
    # Bugs are sent, so what remains is the chatter of native decoders about damaged files.
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    last = time.monotonic()

    def alive() -> None:
        nonlocal last
        if time.monotonic() - last > _SIGN_OF_LIFE_S:
            connection.send(None)
            last = time.monotonic()

    with contextlib.suppress(EOFError, OSError):  # the pool is gone, and so is the reason to go on
        while True:
            job: Job = connection.recv()
            connection.send(None)  # taken: from here on, the end of this process is the file's doing
            for result in _results(job, options, alive):
                connection.send(result)
                last = time.monotonic()


def _results(job: Job, options: DecodeOptions, alive: Callable[[], None]) -> Iterator[Result | str]:
    """What becomes of a job; for a bug, its traceback."""
    try:
        if job.fingerprint_only:
            yield fingerprint_file(job.path, alive, job.by_file)
        else:
            yield from decode(job.path, options, alive, job.by_file)
    except KnownError as error:
        yield error
    except Exception:
        yield traceback.format_exc()


def _end_with_parent() -> None:
    """End even in the midst of a decoder when the app is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
