"""Libraries whose writer was killed."""

from __future__ import annotations

from pathlib import Path

from tests.engine.library.library import (
    everything,
    found,
    index_pending,
    open_library,
    scan,
    searchable,
    segments,
    write,
)
from tests.engine.library.other_process import line, python

PER_STEP = 4


def test_a_process_killed_in_the_middle_of_a_step_loses_that_step_only(library: Path, dozen: Path) -> None:
    for number in range(PER_STEP):
        write(dozen / f"more {number}.wav", f"another {number}")
    with python(f"""
class Fatal(list):
    def __iter__(self):
        for number, item in enumerate(super().__iter__()):
            if number == {PER_STEP - 1}:
                print("in the middle", flush=True)
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
            yield item

store = open_library(Path({str(library)!r}))
scan(store, store.catalogue.add_folder(Path({str(dozen)!r})))
store.work.save_indexed(Fatal(indexed_sound(sound.sound_id, sound.path) for sound in store.work.claim(99)))
""") as process:
        assert line(process) == "in the middle"
        process.wait()
        assert process.returncode != 0
    store = open_library(library)
    store.catalogue.check()
    assert (searchable(store), store.work.count(), segments(store)) == (12, PER_STEP, 24)
    assert index_pending(store) == [None] * PER_STEP
    assert len(everything(store)) == 12 + PER_STEP
    store.close()


def test_a_process_killed_at_any_moment_leaves_every_step_it_finished(tmp_path: Path, dozen: Path) -> None:
    for number in range(400):
        write(dozen / f"more {number}.wav", f"another {number}")
    library = tmp_path / "library.foundsound"
    store = open_library(library)
    scan(store, store.catalogue.add_folder(dozen), slice_=1000)
    store.close()
    done = 0
    for round_ in range(5):
        with python(f"""
store = open_library(Path({str(library)!r}))
while pending := store.work.claim({PER_STEP}):
    store.work.save_indexed([indexed_sound(sound.sound_id, sound.path) for sound in pending])
    print(searchable(store), flush=True)
sys.stdin.read()
""") as process:
            for _ in range(5 + 3 * round_):
                reported = int(line(process))
            process.kill()
            assert process.stdout is not None
            reported = max([reported, *map(int, process.stdout.read().split())])
        assert reported > done
        store = open_library(library)
        store.catalogue.check()
        done = searchable(store)
        assert done >= reported, "a step that was finished is lost"
        assert done - reported <= PER_STEP
        assert done % PER_STEP == 0, "half a step was saved"
        assert segments(store) == 2 * done
        assert len(everything(store)) == done
        store.close()
    store = open_library(library)
    index_pending(store)
    assert len(everything(store)) == 412
    assert store.catalogue.record_scan(store.catalogue.begin_scan(1), [found(dozen / "00.wav")]).unchanged == 1
    store.close()
