"""Speed, printed not asserted: ``make bench`` (or ``python -m tests.bench --help``).

Figures of a machine are only comparable with figures of the same machine, so index speed also stands as a ratio to
the bare CNN's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from engine.library.protocols import IndexedSound, PendingSound
from engine.library.sqlite.library import SqliteLibrary
from engine.media.decode import SoundInfo
from engine.media.fingerprint import Fingerprint
from engine.media.scan import FoundFile

RATE_HZ = 48_000
DIM = 192

WINDOW = """
import os, sys
from pathlib import Path
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication
from desktop.app import App
from desktop.bugs import BugReporter
from desktop.playback.player import Player
from desktop.settings import Settings
from engine import paths
class NoEngine:
    def connect(self, on_message): return self
    def start(self): os._exit(0)  # what follows the first paint
    def send(self, request_id, request): pass
    def close(self, timeout_s=0.0): return True
qt = QApplication(sys.argv[:1])
settings = Settings(QSettings(sys.argv[1], QSettings.Format.IniFormat))
app = App(qt, lambda: NoEngine(), settings, Player(), BugReporter(), paths.resources(), Path())
app.show()
qt.exec()
"""

FIRST_SEARCH = """
import queue
from pathlib import Path
from engine.library.query import Query
from engine.paths import DEFAULT_PACK
from engine.service import messages as m
from engine.service.engine import Engine
messages = queue.Queue()
engine = Engine(Path({library!r}), DEFAULT_PACK)
client = engine.connect(messages.put)
engine.start()
client.send(1, m.Find(Query("glass breaking")))
while not isinstance(message := messages.get(), m.Reply):
    assert not isinstance(message, m.EngineStopped), message
assert isinstance(message.outcome, m.Found), message
engine.close()
"""

SEARCHES = """
import json, time
import numpy as np
import psutil
from pathlib import Path
from engine.library.query import Condition, Field, Operator
from engine.library.sqlite.library import SqliteLibrary
def seconds(act):
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
started = time.perf_counter()
library = SqliteLibrary.open(Path({library!r}), "bench", "0" * 64, {dim})
opened = time.perf_counter() - started
queries = np.random.default_rng(0).standard_normal((60, 1, {dim}), dtype=np.float32)
queries /= np.linalg.norm(queries, axis=-1, keepdims=True)
loaded = seconds(lambda: library.vectors.rank(queries[0], 100))
half = Condition(Field.DURATION_S, 20, Operator.BELOW)
plain = [seconds(lambda: library.vectors.rank(query, 100)) for query in queries[10:]]
filtered = [seconds(lambda: library.vectors.rank(query, 100, where=half)) for query in queries[40:]]
rss = psutil.Process().memory_info().rss / 2**20
print(json.dumps([opened, loaded, rss, plain, filtered]))
"""


def main() -> None:
    """Run every measurement and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sounds", type=Path, help="index this folder instead of made-up sounds")
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the made-up sounds, all together")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sounds = arguments.sounds or _make_sounds(root / "sounds", arguments.minutes * 60.0)
        library = root / "library.foundsound"
        cnn = _cnn_speed()
        print(f"CNN alone                  {cnn:8.0f} x real time")
        _index(sounds, library, cnn)
        _time_to_first_search(library)
        _time_to_window(root)
        _caption_latency()
        for segments in (100_000, 1_000_000):
            _search_latency(segments, root)


def _make_sounds(folder: Path, seconds: float) -> Path:
    """Noise bursts as a library has them: many short files, some long, five formats."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    made, index = 0.0, 0
    while made < seconds:
        duration = float(rng.choice([0.4, 1.5, 3.0, 8.0, 30.0, 120.0], p=[0.2, 0.25, 0.2, 0.2, 0.1, 0.05]))
        samples = rng.standard_normal((int(duration * RATE_HZ), 2)).astype(np.float32) * 0.1
        suffix, subtype = [
            ("wav", "PCM_24"),
            ("wav", "PCM_16"),
            ("flac", "PCM_16"),
            ("ogg", "VORBIS"),
            ("opus", "OPUS"),
        ][index % 5]
        container = "OGG" if suffix == "opus" else suffix.upper()
        path = folder / f"{index:05}.{suffix}"
        with soundfile.SoundFile(path, "w", RATE_HZ, 2, subtype, format=container) as file:
            for second in np.array_split(samples, max(1, round(duration))):  # libsndfile crashes on long Vorbis writes
                file.write(second)
        made, index = made + duration, index + 1
    return folder


def _cnn_speed() -> float:
    from engine.models.encoder import Encoder
    from engine.models.packs import find_pack

    encoder = Encoder.load(find_pack())
    waveforms = [np.random.default_rng(i).standard_normal(441_000).astype(np.float32) for i in range(8)]
    encoder.frames(waveforms)
    return 80.0 / min(_seconds(lambda: encoder.frames(waveforms)) for _ in range(3))


def _index(sounds: Path, library: Path, cnn: float) -> None:
    command = [sys.executable, "-m", "engine", "index", str(sounds), "--library", str(library)]
    started = time.perf_counter()
    output, rss = _run(command)
    elapsed = time.perf_counter() - started
    audio_min = float(output.split("(")[1].split(" min")[0])
    speed = audio_min * 60.0 / elapsed
    print(f"index, whole process       {speed:8.0f} x real time ({speed / cnn:.2f} of the CNN alone), RSS {rss:.0f} MB")
    print(f"  {output.strip()}")


def _time_to_first_search(library: Path) -> None:
    command = [sys.executable, "-c", FIRST_SEARCH.format(library=str(library))]
    times = []
    for _ in range(3):
        started = time.perf_counter()
        _, rss = _run(command)
        times.append(time.perf_counter() - started)
    print(f"time to first search       {np.median(times):8.2f} s (process start to hits), RSS {rss:.0f} MB")


def _time_to_window(folder: Path) -> None:
    # Qt replaces the file of settings: os.devnull would be gone afterwards where this runs as root.
    command = [sys.executable, "-c", WINDOW, str(folder / "settings.ini")]
    times = []
    for _ in range(5):
        started = time.perf_counter()
        _, rss = _run(command)
        times.append(time.perf_counter() - started)
    print(f"time to window             {np.median(times):8.2f} s (process start to first paint), RSS {rss:.0f} MB")


def _caption_latency() -> None:
    from engine.models.encoder import Encoder
    from engine.models.packs import find_pack

    encoder = Encoder.load(find_pack())
    times = [_seconds(lambda: encoder.text_vectors(["a heavy wooden door creaks open slowly"])) for _ in range(60)][10:]
    print(f"caption -> vector          {_quantiles(times)}")


def _search_latency(segments: int, folder: Path) -> None:
    """Vector to hits, through the store, in a process of its own: every sound three segments long."""
    path = folder / f"{segments}.foundsound"
    library = SqliteLibrary.open(path, "bench", "0" * 64, DIM)
    catalogue, work = library.catalogue, library.work
    folder_id = catalogue.add_folder(folder)
    rng = np.random.default_rng(0)
    for first in range(0, segments // 3, 10_000):
        numbers = range(first, min(first + 10_000, segments // 3))
        scan = catalogue.begin_scan(folder_id)
        catalogue.record_scan(scan, [FoundFile(folder / f"{number}.wav", number, number) for number in numbers])
        claimed = work.claim(len(numbers))
        vectors = _unit(rng.standard_normal((len(claimed), 3, DIM), dtype=np.float32))
        items = [
            IndexedSound(sound.sound_id, _info(sound), (0.0, 5.0, 10.0), (10.0, 15.0, 20.0), rows)
            for sound, rows in zip(claimed, vectors, strict=True)
        ]
        work.save_indexed(items)
    library.close()
    output, _ = _run([sys.executable, "-c", SEARCHES.format(library=str(path), dim=DIM)])
    opened_s, loaded_s, rss_mb, plain, filtered = json.loads(output)
    print(f"search {segments:9,} segments  {_quantiles(plain)}  (vector to 100 hits)")
    print(f"  filtered to half of them {_quantiles(filtered)}")
    print(f"  the library opens in     {opened_s:8.2f} s, its vectors load in {loaded_s:.2f} s, RSS {rss_mb:.0f} MB")


def _info(sound: PendingSound) -> SoundInfo:
    fingerprint = Fingerprint(sound.size.to_bytes(16, "little"), bytes(16))
    return SoundInfo(fingerprint, float(sound.sound_id % 40), RATE_HZ, 2, bytes(800), sound.size, sound.mtime_ns)


def _run(command: list[str]) -> tuple[str, float]:
    """Standard output of a command, and the largest resident set it had at a time in MB, its children included."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, env=environment)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, _resident_mb(process.pid))
            time.sleep(0.05)
        out.seek(0)
        if process.returncode:
            raise SystemExit(f"{command} failed")
        return out.read().decode(), peak


def _resident_mb(pid: int) -> float:
    """Of a process and its children; 0 where the system has no /proc."""
    total = 0.0
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += float(line.split()[1]) / 1024.0
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(_resident_mb(int(child)) for child in children.read_text().split())
    return total


def _seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    normalised: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normalised


def _quantiles(times: list[float]) -> str:
    return f"p50 {np.quantile(times, 0.5) * 1e3:6.1f} ms, p95 {np.quantile(times, 0.95) * 1e3:6.1f} ms"


if __name__ == "__main__":
    main()
