"""Somebody who asks the engine, and what reaches its inbox."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass

from engine.service import messages as m

OnMessage = Callable[[m.Reply | m.Event], None]


class Client:
    """Numbers its requests, and gets one reply to each, and every event.

    Args:
        take: Takes what it sends.
        leave: Lets it hear nothing any more.
        on_message: Called with replies and events.
    """

    def __init__(self, take: Callable[[Sent], None], leave: Callable[[Client], None], on_message: OnMessage) -> None:
        self._take = take
        self._leave = leave
        self.on_message = on_message

    def send(self, request_id: int, request: m.Request) -> None:
        """Queue a request; never blocks. The reply bears the number."""
        self._take(Sent(self, request_id, request))

    def close(self) -> None:
        """Hear nothing any more; requests that wait are carried out all the same."""
        self._leave(self)


@dataclass(frozen=True)
class Sent:
    """A request, with who sent it and the number that its reply shall bear."""

    client: Client
    request_id: int
    request: m.Request


Inbox = queue.Queue[Sent | None]
"""None asks the thread to end."""
