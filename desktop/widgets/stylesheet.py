"""The Qt style sheet over Fusion, written from the tokens."""

from __future__ import annotations

from pathlib import Path
from string import Template

from desktop.widgets.tokens import Tokens

_SHEET = Template("""
QMainWindow, QDialog { background: $window; }
QToolTip { background: $raised; color: $text; border: 1px solid $line; padding: 4px 6px; }

QMenuBar { background: $sidebar; border-bottom: 1px solid $line; padding: 2px 6px; }
QMenuBar::item { padding: 4px 9px; border-radius: 5px; background: transparent; }
QMenuBar::item:selected { background: $raised; }
QMenu { background: $surface; border: 1px solid $line; padding: 5px; }
QMenu::item { padding: 5px 32px 5px 24px; border-radius: 4px; }
QMenu::item:selected { background: $accent; color: $on_accent; }
QMenu::item:disabled { color: $faint; background: transparent; }
QMenu::separator { height: 1px; background: $line; margin: 5px 6px; }

QSplitter::handle { background: $line; }
QSplitter::handle:hover { background: $accent; }

#searchField { background: $surface; border: 1px solid $line; border-radius: 10px; }
#searchField:hover { border-color: $outline; }
#searchField[focused="true"] { border: 1px solid $accent; }
#searchField QLineEdit { border: none; background: transparent; padding: 0; selection-background-color: $accent;
    selection-color: $on_accent; }
#queryChip { background: $selected; border-radius: 6px; }
#queryChip QLabel { color: $text; background: transparent; }

#libraryPanel, #libraryPanel QScrollArea, #folderRows { background: $sidebar; }
#previewStrip { background: $sidebar; border-top: 1px solid $line; }
#folderRow { background: transparent; border-radius: 7px; }
#folderRow:hover { background: $raised; }
#progressCard { background: $surface; border: 1px solid $line; border-radius: 9px; }
#banner { background: $notice; border: 1px solid $line; border-radius: 9px; }

QLabel[tone="muted"] { color: $muted; }
QLabel[tone="faint"] { color: $faint; }
QLabel[tone="warning"] { color: $warning; }
QLabel[tone="danger"] { color: $danger; }

QTableView { background: $window; border: none; outline: none; gridline-color: transparent;
    selection-background-color: transparent; selection-color: $text; }
QTableCornerButton::section { background: $window; border: none; }
QHeaderView { background: $window; border: none; }
QHeaderView::section { background: $window; color: $muted; border: none; border-bottom: 1px solid $line;
    padding: 6px 10px; font-weight: normal; }
QHeaderView::section:hover { color: $text; }
QHeaderView::down-arrow { image: url("$down"); width: 11px; height: 11px; subcontrol-position: center right; }
QHeaderView::up-arrow { image: url("$up"); width: 11px; height: 11px; subcontrol-position: center right; }

QPushButton { background: $raised; color: $text; border: 1px solid transparent; border-radius: 7px; padding: 6px 14px; }
QPushButton:hover { border-color: $outline; }
QPushButton:pressed { background: $line; }
QPushButton:focus { border-color: $accent; }
QPushButton:disabled { color: $faint; background: $sidebar; border-color: $line; }
QPushButton[kind="primary"] { background: $accent; color: $on_accent; }
QPushButton[kind="primary"]:hover { background: $accent_strong; border-color: $accent_strong; }
QPushButton[kind="primary"]:focus { border: 2px solid $text; padding: 5px 13px; }
QPushButton[kind="primary"]:disabled { background: $sidebar; color: $faint; }
QPushButton[kind="chip"] { background: $surface; border: 1px solid $line; border-radius: 12px;
    padding: 5px 13px; color: $muted; }
QPushButton[kind="chip"]:hover { color: $text; border-color: $outline; }
QPushButton[kind="chip"]:focus { border-color: $accent; color: $text; }
QPushButton[kind="link"] { background: transparent; color: $muted; padding: 5px 8px; text-align: left; }
QPushButton[kind="link"]:hover { color: $text; background: $raised; border-color: transparent; }
QPushButton[kind="link"]:focus { border-color: $accent; }

QToolButton { background: transparent; border: 1px solid transparent; border-radius: 6px; padding: 4px; color: $muted; }
QToolButton:hover { background: $raised; color: $text; }
QToolButton:focus { border-color: $accent; }
QToolButton:checked { background: $selected_idle; color: $text; border-color: transparent; }
QToolButton:checked:focus { border-color: $accent; }
QToolButton:disabled { color: $faint; }
#playButton { background: $accent; border: 2px solid $accent; border-radius: 22px; padding: 0; }
#playButton:hover { background: $accent_strong; border-color: $accent_strong; }
#playButton:focus { border-color: $text; }
#playButton:disabled { background: $raised; border-color: $raised; }

QComboBox { background: $surface; color: $text; border: 1px solid $line; border-radius: 6px; padding: 3px 8px; }
QComboBox:hover { border-color: $outline; }
QComboBox:focus { border-color: $accent; }
QComboBox:disabled { color: $faint; }
QComboBox::drop-down { border: none; width: 20px; }
QComboBox::down-arrow { image: url("$down"); width: 12px; height: 12px; }
QComboBox QAbstractItemView { background: $surface; color: $text; border: 1px solid $line; outline: none; padding: 4px;
    selection-background-color: $accent; selection-color: $on_accent; }

QSlider { min-height: 20px; }
QSlider::groove:horizontal { height: 4px; background: $wave; border-radius: 2px; }
QSlider::sub-page:horizontal { background: $muted; border-radius: 2px; }
QSlider::handle:horizontal { width: 12px; height: 12px; margin: -4px 0; border-radius: 6px; background: $text; }
QSlider::handle:horizontal:hover { background: $accent; }
QSlider:focus { border: 1px solid $accent; border-radius: 6px; }

QProgressBar { background: $raised; border: none; border-radius: 2px; min-height: 4px; max-height: 4px; }
QProgressBar::chunk { background: $accent; border-radius: 2px; }
QProgressBar[paused="true"]::chunk { background: $faint; }

QScrollBar:vertical { background: transparent; width: 11px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 11px; margin: 0; }
QScrollBar::handle { background: $raised; border-radius: 4px; margin: 1px 2px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover { background: $outline; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QScrollArea { border: none; }

QMessageBox #qt_msgbox_label { font-weight: 600; }
QMessageBox #qt_msgbox_informativelabel { min-width: 340px; }

QTreeView { background: $surface; border: 1px solid $line; border-radius: 7px; outline: none; }
QTreeView:focus { border-color: $accent; }
QTreeView QHeaderView, QTreeView QHeaderView::section { background: $surface; }
QTreeView::item { padding: 5px 6px; }
QTreeView::item:selected { background: $selected; color: $text; }
""")


def stylesheet(tokens: Tokens, icons: Path) -> str:
    """The style sheet for one palette. ``icons`` is the folder of the SVG files it points into."""
    tone = "dark" if tokens.dark else "light"
    arrows = {name: (icons / f"{name}-{tone}.svg").as_posix() for name in ("down", "up")}
    return _SHEET.substitute(vars(tokens), down=arrows["down"], up=arrows["up"])
