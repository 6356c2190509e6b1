"""The results: a line that says what they answer, and the table or the page that stands in its place."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from desktop.library_state import Library, LibraryState
from desktop.search.empty_state import EmptyState
from desktop.search.pages import page_for
from desktop.search.results_model import ResultsModel
from desktop.search.results_view import ResultsView
from desktop.search.search_session import Answer, SearchSession, sound_of
from desktop.widgets.labels import ElidedLabel, tone
from desktop.widgets.theme import Theme
from desktop.wording import quantity
from engine.errors import KnownError
from engine.library.query import Query

LONGEST_CAPTION = 200


class ResultsPanel(QWidget):
    """Follows a search and the library, and shows what there is to show."""

    def __init__(
        self,
        session: SearchSession,
        library: LibraryState,
        model: ResultsModel,
        view: ResultsView,
        empty: EmptyState,
        theme: Theme,
    ) -> None:
        super().__init__()
        self._session = session
        self._library = library
        self._model = model
        self._view = view
        self._empty = empty
        self._error: KnownError | None = None
        self.headline, self._cost = ElidedLabel(), QLabel()
        for label in (self.headline, self._cost):
            label.setFont(theme.fonts.small)
            tone(label, "muted")
        self._status = QWidget()
        line = QHBoxLayout(self._status)
        line.setContentsMargins(10, 0, 10, 0)
        line.addWidget(self.headline, 1)
        line.addWidget(self._cost)
        self._stack = QStackedWidget()
        self._stack.addWidget(empty)
        self._stack.addWidget(view)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._status)
        column.addWidget(self._stack, 1)
        session.query_changed.connect(self._query_changed)
        session.answered.connect(self._answered)
        session.failed.connect(self._failed)
        library.changed.connect(self._library_changed)
        self._show()

    def _query_changed(self, query: Query) -> None:
        self._error = None
        if not query.asks:
            self._view.show_hits((), keep=False)
        self._show()

    def _answered(self, answer: Answer) -> None:
        self._error = None
        self._view.show_hits(answer.hits, keep=answer.refreshed)
        self._show()

    def _failed(self, error: KnownError) -> None:
        self._error = error
        self._show()

    def _library_changed(self, library: Library) -> None:
        self._model.set_roots(library.roots)
        self._show()

    def _show(self) -> None:
        session = self._session
        page = page_for(self._library.library, session.query, session.answer, self._error)
        if page is not None:
            self._empty.show_page(page)
            self._stack.setCurrentWidget(self._empty)
        elif session.answer is not None:
            self._stack.setCurrentWidget(self._view)
            self._describe(session.answer)
        # else the answer is on the way: what was shown stays until it is here
        self._status.setVisible(self._stack.currentWidget() is self._view)

    def _describe(self, answer: Answer) -> None:
        sound = sound_of(answer.query)
        about = f"like {sound.name}" if sound is not None else f"for “{answer.query.words[:LONGEST_CAPTION]}”"
        self.headline.set_text(f"{quantity(len(answer.hits), 'sound')} {about}")
        cost_ms = max(1, round(answer.elapsed_s * 1000))
        self._cost.setText(f"best of {answer.searched:,} in {cost_ms:,} ms")
