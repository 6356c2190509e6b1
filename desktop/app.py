"""Builds the app: constructs every part, hands each what it needs, and connects them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication

from desktop.actions import Actions
from desktop.bridge import EngineBridge, EngineFactory
from desktop.bugs import BugReporter
from desktop.library.failures_dialog import FailuresDialog
from desktop.library.library_commands import LibraryCommands
from desktop.library.library_panel import LibraryPanel
from desktop.library_state import Library, LibraryState
from desktop.playback.audition import Audition
from desktop.playback.output_chooser import OutputChooser
from desktop.playback.player import Player, PlayerState
from desktop.playback.preview_strip import PreviewStrip
from desktop.search.empty_state import EmptyState
from desktop.search.pages import PageAction
from desktop.search.results_model import ResultsModel
from desktop.search.results_panel import ResultsPanel
from desktop.search.results_view import ResultsView
from desktop.search.search_bar import SearchBar
from desktop.search.search_session import SearchSession
from desktop.search.sound_commands import SoundCommands
from desktop.settings import Settings
from desktop.widgets.banner import BannerArea, Message, Severity
from desktop.widgets.drop_target import DropTarget
from desktop.widgets.help_dialogs import show_about, show_shortcuts
from desktop.widgets.icons import Icons
from desktop.widgets.reveal import Revealer
from desktop.widgets.theme import Theme
from desktop.window import MainWindow
from engine.errors import ErrorKind, KnownError
from engine.library.types import Folder
from engine.service.messages import FailuresListed, LibraryOpened, ProblemOccurred

SEARCH_PROBLEM = "search"
NO_OUTPUT = (ErrorKind.AUDIO_NO_DEVICE, ErrorKind.AUDIO_UNAVAILABLE)


class App(QObject):
    """The running app.

    Args:
        qt: The application object.
        make_engine: Makes the engine; called off the UI thread, after the window was painted.
        settings: What to remember.
        player: Plays sounds; closed with the window.
        bugs: Tells of bugs.
        resources: The folder that holds ``icons``.
        logs: The folder that the Help menu opens.
    """

    def __init__(
        self,
        qt: QApplication,
        make_engine: EngineFactory,
        settings: Settings,
        player: Player,
        bugs: BugReporter,
        resources: Path,
        logs: Path,
    ) -> None:
        super().__init__(qt)
        self.settings = settings
        self.player = player
        self._logs = logs
        self._noticed: set[ErrorKind] = set()  # an engine that starts anew says it again
        self.theme = Theme(qt, resources / "icons", settings.appearance)
        self.icons = Icons(self.theme, resources / "icons")
        qt.setWindowIcon(self.icons.app_icon())
        self.actions = Actions(self.icons, self)

        self.bridge = EngineBridge(make_engine, self)
        self.library = LibraryState(self.bridge, self)
        self.session = SearchSession(self.bridge, parent=self)
        self.audition = Audition(player, settings.auto_audition, self)
        self.revealer = Revealer(parent=self)

        self.search_bar = SearchBar(self.theme, self.icons)
        self.banners = BannerArea(self.theme, self.icons)
        self.model = ResultsModel(self)
        self.view = ResultsView(self.model, self.theme)
        self.empty = EmptyState(self.theme, self.icons)
        self.results = ResultsPanel(self.session, self.library, self.model, self.view, self.empty, self.theme)
        self.panel = LibraryPanel(self.theme, self.icons, self.actions.add_folder)
        self.outputs = OutputChooser(player, self.icons, settings.output_device)
        self.preview = PreviewStrip(self.audition, self.outputs, self.theme, self.icons, self.actions.automatic)
        self.window = MainWindow(
            self.actions, self.search_bar, self.banners, self.results, self.view, self.panel, self.preview
        )
        self.failures = FailuresDialog(self.theme, self.window)
        self.drops = DropTarget(self.window, self.theme)
        self.library_commands = LibraryCommands(self.bridge, settings, self.icons, self.window)
        self.sound_commands = SoundCommands(self.view, self.search_bar, self.revealer)

        self._connect_search()
        self._connect_sound()
        self._connect_library()
        self._connect_window()
        self._connect_problems(bugs)
        self._restore()

    def show(self) -> None:
        """Show the window; the engine starts once it is painted."""
        self.window.show()

    def restart_engine(self) -> None:
        """Start the engine anew, after it stopped."""
        self.library.reset()
        self.bridge.start()
        self.session.restart()

    def close(self) -> None:
        """Save the settings and close everything."""
        self.settings.geometry = self.window.saveGeometry()
        self.settings.splitter = self.window.splitter.saveState()
        self.settings.volume = self.preview.volume.value() / self.preview.volume.maximum()
        self.settings.sync()
        self.window.hide()
        self.player.close()
        self.bridge.close()

    def _connect_search(self) -> None:
        self.search_bar.query_changed.connect(self.session.ask)
        self.search_bar.left_downwards.connect(self.view.enter)
        self.view.left_upwards.connect(self.search_bar.focus)
        self.empty.example_chosen.connect(self.search_bar.search_caption)
        self.empty.action_requested.connect(self._do_page_action)
        self.actions.find.triggered.connect(self.search_bar.focus)
        self.drops.sound_dropped.connect(self.search_bar.search_similar)

    def _connect_sound(self) -> None:
        self.view.hit_chosen.connect(self.audition.choose)
        self.view.play_requested.connect(self.audition.play)
        self.view.nudged.connect(self.audition.nudge)
        self.view.copy_requested.connect(self.sound_commands.copy_paths)
        self.view.selectionModel().selectionChanged.connect(self._selection_changed)
        self.model.modelReset.connect(self._selection_changed)
        self.audition.hit_changed.connect(self._hit_changed)
        self.audition.state_changed.connect(self._mark_playing)
        self.audition.position_changed.connect(self._mark_playing)
        actions = self.actions
        actions.toggle.triggered.connect(self.audition.toggle)
        actions.play_from_start.triggered.connect(self.audition.play_from_start)
        actions.stop.triggered.connect(self._escape)
        actions.automatic.toggled.connect(self._automatic_toggled)
        actions.similar.triggered.connect(self.sound_commands.find_similar)
        actions.reveal.triggered.connect(self.sound_commands.reveal)
        actions.copy_path.triggered.connect(self.sound_commands.copy_paths)
        self.preview.volume_changed.connect(self.player.set_volume)
        self.outputs.chosen.connect(self._output_chosen)
        self.player.devices_changed.connect(self._devices_changed)

    def _connect_library(self) -> None:
        commands, actions = self.library_commands, self.actions
        actions.add_folder.triggered.connect(commands.choose_folder)
        actions.rescan.triggered.connect(commands.rescan)
        actions.failures.triggered.connect(self.failures.open_list)
        self.drops.folders_dropped.connect(commands.add_folders)
        self.drops.refused.connect(self.banners.show_error)
        self.panel.remove_requested.connect(commands.confirm_remove)
        self.panel.reveal_requested.connect(self._reveal_folder)
        self.panel.failures_requested.connect(self.failures.open_list)
        self.panel.progress.pause_requested.connect(commands.pause)
        self.panel.progress.resume_requested.connect(commands.resume)
        self.panel.progress.cancel_requested.connect(commands.cancel)
        self.failures.opened.connect(commands.list_failures)
        self.failures.retry_requested.connect(commands.retry_failed)
        self.failures.reveal_requested.connect(self.revealer.reveal)
        self.library_commands.failures_listed.connect(self._failures_listed)
        self.bridge.index_finished.connect(self._refresh_failures)
        self.library.changed.connect(self._library_changed)

    def _connect_window(self) -> None:
        actions = self.actions
        self.window.painted.connect(self.bridge.start)
        self.window.closing.connect(self.close)
        actions.quit.triggered.connect(self.window.close)
        actions.library_visible.toggled.connect(self._library_toggled)
        actions.appearances.triggered.connect(self._appearance_chosen)
        actions.shortcuts.triggered.connect(lambda: show_shortcuts(actions, self.theme, self.window))
        actions.open_log.triggered.connect(self._open_log)
        actions.about.triggered.connect(lambda: show_about(self.window))

    def _connect_problems(self, bugs: BugReporter) -> None:
        self.bridge.problem_occurred.connect(self._problem_occurred)
        self.bridge.refused.connect(self.banners.show_error)
        self.bridge.library_opened.connect(self._library_opened)
        self.session.failed.connect(self._search_failed)
        self.session.answered.connect(lambda: self.banners.dismiss_all(SEARCH_PROBLEM))
        self.audition.failed.connect(self.banners.show_error)
        bugs.reported.connect(self._bug_reported)

    def _restore(self) -> None:
        settings = self.settings
        self.preview.set_volume(settings.volume)
        self.player.set_volume(settings.volume)
        self.actions.automatic.setChecked(settings.auto_audition)
        self.actions.library_visible.setChecked(settings.library_visible)
        self.panel.setVisible(settings.library_visible)
        self.actions.appearance[settings.appearance].setChecked(True)
        self.window.restore(settings.geometry, settings.splitter)
        self._selection_changed()
        self._hit_changed()

    def _escape(self) -> None:
        """Stop what plays; else go to the search box; else clear it."""
        if self.audition.playing:
            self.audition.stop()
        elif self.search_bar.edit.hasFocus():
            self.search_bar.clear()
        else:
            self.search_bar.focus()

    def _do_page_action(self, action: PageAction) -> None:
        match action:
            case PageAction.ADD_FOLDER:
                self.library_commands.choose_folder()
            case PageAction.RESTART:
                self.restart_engine()
            case PageAction.SEARCH_AGAIN:
                self.session.ask_again()
            case PageAction.SHOW_FAILURES:
                self.failures.open_list()

    def _selection_changed(self) -> None:
        selected = self.view.current_hit() is not None
        for action in self.actions.on_selection:
            action.setEnabled(selected)

    def _hit_changed(self) -> None:
        for action in self.actions.on_sound:
            action.setEnabled(self.audition.hit is not None)

    def _mark_playing(self) -> None:
        hit = self.audition.hit
        if hit is None or self.audition.state is not PlayerState.PLAYING:
            self.model.set_playing(None)
        else:
            self.model.set_playing(hit.sound_id, self.audition.position_s / max(hit.duration_s, 0.001))

    def _automatic_toggled(self, automatic: bool) -> None:
        self.audition.set_automatic(automatic)
        self.settings.auto_audition = automatic

    def _output_chosen(self, key: str) -> None:
        self.settings.output_device = key

    def _devices_changed(self) -> None:
        if self.player.available:
            for kind in NO_OUTPUT:
                self.banners.dismiss_all(kind)

    def _library_changed(self, library: Library) -> None:
        self.panel.show_library(library)
        self.preview.set_roots(library.roots)
        may_write = library.opened and not library.read_only and library.stopped is None
        for action in self.actions.on_writable:
            action.setEnabled(may_write)
        self.drops.takes_folders = may_write
        self.failures.set_may_retry(may_write)

    def _failures_listed(self, event: FailuresListed) -> None:
        self.failures.show_failures(event.failures)

    def _refresh_failures(self) -> None:
        if self.failures.isVisible():
            self.library_commands.list_failures()

    def _reveal_folder(self, folder: Folder) -> None:
        self.revealer.reveal(folder.path)

    def _library_toggled(self, visible: bool) -> None:
        self.panel.setVisible(visible)
        self.settings.library_visible = visible

    def _appearance_chosen(self) -> None:
        chosen = next(value for value, action in self.actions.appearance.items() if action.isChecked())
        self.settings.appearance = chosen
        self.theme.set_appearance(chosen)

    def _open_log(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._logs)))

    def _library_opened(self, event: LibraryOpened) -> None:
        if event.notice is not None and event.notice.kind not in self._noticed:
            self._noticed.add(event.notice.kind)
            self.banners.show_notice(event.notice)

    def _problem_occurred(self, event: ProblemOccurred) -> None:
        self.banners.show_error(event.error)

    def _search_failed(self, error: KnownError) -> None:
        if self.session.answer is not None:
            self.banners.show_message(Message(SEARCH_PROBLEM, "The results may be out of date", str(error)))

    def _bug_reported(self, line: str) -> None:
        text = f"{line}\nThe details are in the log. Your library is safe."
        self.banners.show_message(
            Message("bug", "Something unexpected went wrong", text, Severity.BUG, "Open log folder", self._open_log)
        )
