"""Unobtrusive messages above the results: known errors with what to do next, and bugs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from desktop.widgets.icons import Icons
from desktop.widgets.labels import tone
from desktop.widgets.theme import Theme
from desktop.wording import error_title, quantity
from engine.errors import KnownError

MOST_BANNERS = 3


class Severity(Enum):
    """How grave a message is: the icon of its banner, and the token of that icon's colour."""

    INFO = ("info", "muted")
    PROBLEM = ("warning", "warning")
    BUG = ("warning", "danger")


@dataclass(frozen=True)
class Message:
    """What a banner says. Messages of one ``key`` share a banner; the newest is shown, with a count of the others."""

    key: str
    title: str
    text: str
    severity: Severity = Severity.PROBLEM
    action_label: str = ""
    action: Callable[[], None] | None = None


def message_for(error: KnownError, severity: Severity = Severity.PROBLEM) -> Message:
    """Word a known error, or something that is only good to know, for a banner."""
    return Message(error.kind, error_title(error.kind), str(error), severity)


class Banner(QFrame):
    """One message, until dismissed."""

    def __init__(self, message: Message, theme: Theme, icons: Icons, dismissed: Callable[[Banner], None]) -> None:
        super().__init__()
        self.setObjectName("banner")
        self.key = message.key
        self._message: Message | None = None
        self._times = 0
        self._action: Callable[[], None] | None = None
        icon, role = message.severity.value
        self.mark = icons.mark(icon, 18, role)
        self._title, self._text, self.button = QLabel(), QLabel(), QPushButton()
        self._title.setFont(theme.fonts.strong)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        for label in (self._title, self._text):
            label.setTextFormat(Qt.TextFormat.PlainText)
        tone(self._text, "muted")
        self.button.clicked.connect(self._act)
        close = QToolButton()
        close.setAccessibleName("Dismiss")
        close.setToolTip("Dismiss")
        close.clicked.connect(lambda: dismissed(self))
        icons.bind(close, "close")
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._title)
        words.addWidget(self._text)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 9, 8, 9)
        row.setSpacing(11)
        row.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        row.addWidget(self.button)
        row.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        self.say(message)

    def say(self, message: Message) -> None:
        """Show a message, counting those it takes the place of; said once more, it counts as one."""
        if self._message is not None and (message.title, message.text) == (self._message.title, self._message.text):
            return
        self._message = message
        self._times += 1
        more = f"  ({quantity(self._times - 1, 'more like this', 'more like this')})" if self._times > 1 else ""
        self._title.setText(message.title + more)
        self._text.setText(message.text)
        self._text.setVisible(bool(message.text))
        self._action = message.action
        self.button.setText(message.action_label)
        self.button.setVisible(message.action is not None)
        self.setAccessibleName(f"{message.title}. {message.text}")

    @property
    def text(self) -> str:
        """The title and the text that it shows."""
        return f"{self._title.text()}\n{self._text.text()}"

    def _act(self) -> None:
        if self._action is not None:
            self._action()


class BannerArea(QWidget):
    """A short stack of banners; it takes no room while there is none."""

    def __init__(self, theme: Theme, icons: Icons) -> None:
        super().__init__()
        self._theme = theme
        self._icons = icons
        self._banners: list[Banner] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        self.hide()

    @property
    def banners(self) -> tuple[Banner, ...]:
        """What is shown, from top to bottom."""
        return tuple(self._banners)

    def show_error(self, error: KnownError) -> None:
        """Show a known error."""
        self.show_message(message_for(error))

    def show_notice(self, notice: KnownError) -> None:
        """Show what the user should know, though nothing has failed."""
        self.show_message(message_for(notice, Severity.INFO))

    def show_message(self, message: Message) -> None:
        """Show a message, on the banner of the same key if there is one."""
        for banner in self.banners:
            if banner.key == message.key:
                banner.say(message)
                return
        if len(self._banners) >= MOST_BANNERS:
            self.dismiss(self._banners[0])
        banner = Banner(message, self._theme, self._icons, self.dismiss)
        self._banners.append(banner)
        self._column.addWidget(banner)
        self.show()

    def dismiss(self, banner: Banner) -> None:
        """Take a banner away."""
        self._banners.remove(banner)
        self._column.removeWidget(banner)
        banner.hide()
        banner.deleteLater()
        self.setVisible(bool(self._banners))

    def dismiss_all(self, key: str) -> None:
        """Dismiss the banner of a key, if there is one."""
        for banner in self.banners:
            if banner.key == key:
                self.dismiss(banner)
