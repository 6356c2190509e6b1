"""What all threads that start processes share."""

from __future__ import annotations

import threading
from typing import Final

LOCK: Final = threading.Lock()
"""To be held while a ``multiprocessing`` process is started, asked for its state, joined or closed.

``start`` polls all children of this process, so a thread that joins or closes one meanwhile meets a child whose exit
status was taken away. Do not wait under it: wait for the process's ``sentinel`` first.
"""
