"""What is being searched for: asks the engine, ignores stale answers, and asks again while indexing goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msgspec import structs
from PySide6.QtCore import QObject, QTimer, Signal

from desktop.bridge import EngineBridge
from engine.errors import KnownError
from engine.library.query import Likeness, Query
from engine.library.types import Hit
from engine.service.messages import Find, Found, Indexed, Refused, Reply

REFRESH_MS = 2000
LIMIT = 200


def like_sound(path: Path) -> Query:
    """The query for sounds like one sound."""
    return Query(like=(Likeness(path=path),))


def sound_of(query: Query) -> Path | None:
    """The sound that a query asks for others like, or None."""
    return query.like[0].path if query.like else None


@dataclass(frozen=True)
class Answer:
    """The hits for a query. ``refreshed`` says that the same query had been answered before."""

    query: Query
    hits: tuple[Hit, ...]
    searched: int
    elapsed_s: float
    refreshed: bool = False


class SearchSession(QObject):
    """Holds the present query and its latest answer.

    Signals:
        query_changed(Query): another query than before.
        answered(Answer): the present query was answered, for the first time or anew.
        failed(KnownError): the present query could not be answered.
    """

    query_changed = Signal(Query)
    answered = Signal(Answer)
    failed = Signal(KnownError)

    def __init__(self, bridge: EngineBridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self.query = Query()
        self.answer: Answer | None = None
        self._pending_id: int | None = None
        self._indexed_at_search = -1
        self._refresh = QTimer(self)
        self._refresh.setSingleShot(True)
        self._refresh.setInterval(REFRESH_MS)
        self._refresh.timeout.connect(self.ask_again)
        bridge.indexed.connect(self._note_progress)
        bridge.index_finished.connect(self._note_change)

    @property
    def waiting(self) -> bool:
        """Whether the present query still has to be answered."""
        return self._pending_id is not None

    @property
    def refresh_due(self) -> bool:
        """Whether the present query will be asked anew in a moment, because the library has changed."""
        return self._refresh.isActive()

    def ask(self, query: Query) -> None:
        """Search for something; an empty query ends searching. The same query is asked again only if it failed."""
        if query == self.query:
            if self.answer is None:
                self.ask_again()
            return
        self.query = query
        self.answer = None
        self._pending_id = None
        self._refresh.stop()
        self.query_changed.emit(query)
        if query.asks:
            self._send()

    def ask_again(self) -> None:
        """Put the present query once more, quietly, unless its answer is still on the way."""
        if self.query.asks and not self.waiting:
            self._send()

    def restart(self) -> None:
        """The engine was started anew: what it had not answered it never will, so ask again."""
        self._pending_id = None
        self.ask_again()

    def _send(self) -> None:
        wanted = Find(structs.replace(self.query, limit=LIMIT))
        self._pending_id = self._bridge.send(wanted, self._take_reply)

    def _take_reply(self, reply: Reply) -> None:
        if reply.request_id != self._pending_id:
            return
        self._pending_id = None
        match reply.outcome:
            case Found(hits, searched, elapsed_s):
                self.answer = Answer(self.query, hits, searched, elapsed_s, refreshed=self.answer is not None)
                self.answered.emit(self.answer)
            case Refused(error):
                self.failed.emit(error)

    def _note_progress(self, indexed: Indexed) -> None:
        done = indexed.progress.done
        if done != self._indexed_at_search:
            self._indexed_at_search = done
            self._note_change()

    def _note_change(self) -> None:
        if self.query.asks and not self.refresh_due:
            self._refresh.start()
