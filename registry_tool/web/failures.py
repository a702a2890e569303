"""How often a client may show a wrong key."""

from __future__ import annotations

import math
from collections import OrderedDict
from datetime import datetime, timedelta

ALLOWED = 10
WINDOW = timedelta(minutes=1)
_CLIENTS = 10_000


class Failures:
    """Wrong keys by client address in the last minute. Forgets the oldest clients when there are many."""

    def __init__(self, allowed: int = ALLOWED) -> None:
        self._allowed = allowed
        self._times: OrderedDict[str, list[datetime]] = OrderedDict()

    def blocked_for(self, client: str, now: datetime) -> int:
        """Seconds until the client may try again; 0 when it may now."""
        times = [time for time in self._times.get(client, ()) if now - time < WINDOW]
        if len(times) < self._allowed:
            return 0
        return max(1, math.ceil((times[0] + WINDOW - now).total_seconds()))

    def note(self, client: str, now: datetime) -> None:
        """The client showed a wrong key."""
        times = [time for time in self._times.pop(client, ()) if now - time < WINDOW]
        self._times[client] = [*times, now][-self._allowed :]
        while len(self._times) > _CLIENTS:
            self._times.popitem(last=False)
