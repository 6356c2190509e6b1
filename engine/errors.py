"""Errors a user can act on. Anything that is not a KnownError is a bug."""

from __future__ import annotations

from enum import StrEnum


class ErrorKind(StrEnum):
    """Every kind of failure that a user can meet; its value is stored with failed sounds, so it never changes."""

    AUDIO_DEVICE_FAILED = "audio_device_failed"
    AUDIO_NO_DEVICE = "audio_no_device"
    AUDIO_UNAVAILABLE = "audio_unavailable"
    CAPTION_EMPTY = "caption_empty"
    CAPTION_NOT_TEXT = "caption_not_text"
    CAPTIONS_EMPTY = "captions_empty"
    CAPTIONS_UNREADABLE = "captions_unreadable"
    CHECKPOINT_MISMATCH = "checkpoint_mismatch"
    CHECKPOINT_UNREADABLE = "checkpoint_unreadable"
    CONFIG_CHANGED = "config_changed"
    CONFIG_INVALID = "config_invalid"
    CONFIG_MISSING = "config_missing"
    CONFIG_PATH_MISSING = "config_path_missing"
    DATA_COLUMNS = "data_columns"
    DATA_MALFORMED = "data_malformed"
    DATA_MISSING = "data_missing"
    DEVICE_UNAVAILABLE = "device_unavailable"
    DISK_FULL = "disk_full"
    DISTIL_DIVERGED = "distil_diverged"
    DOWNLOAD_FAILED = "download_failed"
    DOWNLOAD_UNWRITABLE = "download_unwritable"
    DOWNLOAD_WRONG_HASH = "download_wrong_hash"
    ENGINE_STOPPED = "engine_stopped"
    FOLDER_ALREADY_COVERED = "folder_already_covered"
    FOLDER_MISSING = "folder_missing"
    FOLDER_NO_ANSWER = "folder_no_answer"
    FOLDER_NO_PERMISSION = "folder_no_permission"
    FOLDER_UNKNOWN = "folder_unknown"
    FOLDER_UNREADABLE = "folder_unreadable"
    HOME_UNKNOWN = "home_unknown"
    INDEXED_WITH_OTHER_PACK = "indexed_with_other_pack"
    LIBRARY_CORRUPT = "library_corrupt"
    LIBRARY_FOREIGN = "library_foreign"
    LIBRARY_IO_ERROR = "library_io_error"
    LIBRARY_IS_FOLDER = "library_is_folder"
    LIBRARY_LOCKED = "library_locked"
    LIBRARY_MISSING = "library_missing"
    LIBRARY_NEWER = "library_newer"
    LIBRARY_NOT_A_FILE = "library_not_a_file"
    LIBRARY_ON_NETWORK = "library_on_network"
    LIBRARY_OUTDATED = "library_outdated"
    LIBRARY_READ_ONLY = "library_read_only"
    LIBRARY_UNREADABLE = "library_unreadable"
    LIBRARY_UNWRITABLE = "library_unwritable"
    LIBRARY_VANISHED = "library_vanished"
    NAME_NOT_UNICODE = "name_not_unicode"
    NO_ROOM = "no_room"
    NOT_A_FOLDER = "not_a_folder"
    NOT_DEBIAN = "not_debian"
    OUTPUT_NOT_SAFETENSORS = "output_not_safetensors"
    OUTPUT_UNWRITABLE = "output_unwritable"
    PACK_BROKEN = "pack_broken"
    PACK_CHOICE_BROKEN = "pack_choice_broken"
    PACK_CHOICE_UNREADABLE = "pack_choice_unreadable"
    PACK_CHOICE_UNWRITABLE = "pack_choice_unwritable"
    PACK_FILE_FAILED = "pack_file_failed"
    PACK_NAME_INVALID = "pack_name_invalid"
    PACK_NEWER = "pack_newer"
    PACK_UNKNOWN = "pack_unknown"
    PACK_UNSUPPORTED = "pack_unsupported"
    PACK_WRONG_HASH = "pack_wrong_hash"
    PACKAGE_MISSING = "package_missing"
    PACKAGE_UNREADABLE = "package_unreadable"
    PAGE_MARKERS = "page_markers"
    PLOT_MISSING = "plot_missing"
    QUERY_INVALID = "query_invalid"
    RUN_UNKNOWN = "run_unknown"
    SOUND_CHANGED = "sound_changed"
    SOUND_CRASHED = "sound_crashed"
    SOUND_DAMAGED = "sound_damaged"
    SOUND_EMPTY = "sound_empty"
    SOUND_IO_ERROR = "sound_io_error"
    SOUND_NO_PERMISSION = "sound_no_permission"
    SOUND_SILENT = "sound_silent"
    SOUND_TIMEOUT = "sound_timeout"
    SOUND_TRUNCATED = "sound_truncated"
    SOUND_UNREADABLE = "sound_unreadable"
    SOUND_VANISHED = "sound_vanished"
    TEACHER_MISMATCH = "teacher_mismatch"
    TEACHER_MISSING = "teacher_missing"
    TEACHER_UNREADABLE = "teacher_unreadable"
    TOO_MANY_OPEN_FILES = "too_many_open_files"
    TRAINING_FILE_FAILED = "training_file_failed"
    TRAINING_LEFT_OUT = "training_left_out"
    TRAINING_NEEDS_MORE = "training_needs_more"
    TRAINING_UNFINISHED = "training_unfinished"
    WORD_VECTORS_MALFORMED = "word_vectors_malformed"
    WORKERS_UNAVAILABLE = "workers_unavailable"
    WORKING_FOLDER_MISSING = "working_folder_missing"


class KnownError(Exception):
    """A failure the user can understand and act on.

    Args:
        kind: What kind of failure; the desktop chooses its wording by it.
        detail: What happened, in one plain sentence, naming the file or value concerned.
        hint: What to do next, in one plain sentence.
    """

    def __init__(self, kind: ErrorKind, detail: str, hint: str = "") -> None:
        super().__init__(kind, detail, hint)
        self.kind = kind
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}".strip()
