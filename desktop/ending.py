"""The end of the process, also while the engine is in the middle of something."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Final, NoReturn

ENGINE_THREAD: Final = "engine"

log = logging.getLogger(__name__)


def end_process(status: int) -> NoReturn:
    """Exit; at once where the engine did not stop in time, as on a slow machine that is loading the model.

    Python would otherwise end while that thread is inside PyTorch, whose C++ frames abort when they are unwound.
    Nothing is lost: what is not committed to the library is done again next time.
    """
    if any(thread.name == ENGINE_THREAD and thread.is_alive() for thread in threading.enumerate()):
        log.warning("the engine was still busy at the end")
        logging.shutdown()
        os._exit(status)
    sys.exit(status)
