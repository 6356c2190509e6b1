"""Downloads from a local server: whole, resumed, wrong, broken off, and none at all."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.errors import KnownError
from engine.training.data.download import Source, fetch

CONTENT = bytes(range(256)) * 4000


@dataclass
class Served:
    """What the server gives and what it was asked for."""

    url: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    break_after: int | None = None
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def served() -> Iterator[Served]:
    state = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            if self.path != "/file":
                self.send_error(404)
                return
            found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
            start = int(found[1]) if found and state.ranges else 0
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if state.break_after is None else body[: state.break_after])

        def log_message(self, *values: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/file"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def _source(served: Served) -> Source:
    return Source(served.url, "sub/weights.bin", len(CONTENT), "CC0", sha256=hashlib.sha256(CONTENT).hexdigest())


def test_a_whole_file_is_fetched_once(served: Served, tmp_path: Path) -> None:
    steps: list[int] = []
    path = fetch(_source(served), tmp_path, lambda done, total: steps.append(done))
    assert path.read_bytes() == CONTENT
    assert steps[-1] == len(CONTENT)
    assert fetch(_source(served), tmp_path) == path
    assert served.asked == [None]
    assert [item.name for item in path.parent.iterdir()] == ["weights.bin"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on(served: Served, tmp_path: Path, ranges: bool) -> None:
    served.break_after, served.ranges = 300_000, ranges
    with pytest.raises(KnownError, match="goes on where it stopped") as caught:
        fetch(_source(served), tmp_path)
    assert caught.value.kind == "download_failed"
    assert (tmp_path / "sub" / "weights.bin.part").stat().st_size == 300_000
    served.break_after = None
    assert fetch(_source(served), tmp_path).read_bytes() == CONTENT
    assert served.asked == [None, "bytes=300000-"]


@pytest.mark.parametrize("known", ["sha256", "md5"])
def test_another_file_is_refused_and_not_kept(served: Served, tmp_path: Path, known: str) -> None:
    source = _source(served)
    if known == "md5":
        source = replace(source, sha256=None, md5=hashlib.md5(CONTENT).hexdigest())
        assert fetch(source, tmp_path / "good").read_bytes() == CONTENT
    served.content = CONTENT[:-1] + b"!"
    with pytest.raises(KnownError, match=r"sub/weights\.bin") as caught:
        fetch(source, tmp_path)
    assert caught.value.kind == "download_wrong_hash"
    assert list((tmp_path / "sub").iterdir()) == []
    served.content = CONTENT
    assert fetch(source, tmp_path).read_bytes() == CONTENT


def test_a_longer_file_is_refused(served: Served, tmp_path: Path) -> None:
    served.content = CONTENT * 3
    with pytest.raises(KnownError) as caught:
        fetch(_source(served), tmp_path)
    assert caught.value.kind == "download_wrong_hash"


def test_a_changed_file_on_disk_is_noticed(served: Served, tmp_path: Path) -> None:
    fetch(_source(served), tmp_path).write_bytes(b"other")
    with pytest.raises(KnownError) as caught:
        fetch(_source(served), tmp_path)
    assert caught.value.kind == "download_wrong_hash"


def test_no_server_and_no_such_page(served: Served, tmp_path: Path) -> None:
    missing = replace(_source(served), url=served.url + "s")
    nobody = replace(_source(served), url="http://127.0.0.1:1/file")
    for source, mention in ((missing, "404"), (nobody, "refused")):
        with pytest.raises(KnownError, match=mention) as caught:
            fetch(source, tmp_path)
        assert caught.value.kind == "download_failed"
        assert "internet" in caught.value.hint


def test_a_source_must_be_pinned() -> None:
    with pytest.raises(ValueError, match="no pinned hash"):
        Source("https://example.org/x", "x", 1, "CC0")
