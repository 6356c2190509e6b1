"""An encoder that loads on a thread of its own, so that what needs no vector need not wait for it."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from engine.models.memory import bound_memory
from engine.models.packs import Pack

if TYPE_CHECKING:
    from engine.models.encoder import Encoder

log = logging.getLogger(__name__)


class EncoderSource:
    """Loads a pack's encoder once, when it is first asked for.

    Args:
        pack: The pack.
    """

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self._loaded: Future[Encoder] | None = None

    def start(self) -> None:
        """Begin to load; harmless again."""
        if self._loaded is None:
            self._loaded = Future()
            threading.Thread(target=self._load, args=(self._loaded,), name="load encoder", daemon=True).start()

    def ready(self) -> Encoder | None:
        """The encoder, where it is loaded.

        Raises:
            KnownError: As ``Encoder.load``, or any bug that it met.
        """
        return self._loaded.result() if self._loaded is not None and self._loaded.done() else None

    def get(self) -> Encoder:
        """The encoder, once it is loaded (importing torch takes seconds); raises as :meth:`ready`."""
        self.start()
        assert self._loaded is not None
        return self._loaded.result()

    def wait(self, timeout_s: float) -> None:
        """Give loading some time, where it has begun."""
        if self._loaded is not None:
            wait([self._loaded], timeout_s)

    def _load(self, loaded: Future[Encoder]) -> None:
        try:
            bound_memory()
            from engine.models.encoder import Encoder

            encoder = Encoder.load(self.pack)
        except BaseException as error:
            loaded.set_exception(error)
        else:
            log.info("encoder %s ready on %s", self.pack.pack_id, encoder.device)
            loaded.set_result(encoder)
