"""Who holds a lease: the text in the lease's blob, and whether that process still lives."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class LeaseNote:
    """What a lease says. `nonce` is the same for all renewals of one acquisition."""

    holder: str
    host: str
    pid: int
    started: str
    expires_at: datetime
    nonce: str

    @classmethod
    def for_this_process(cls, holder: str, expires_at: datetime) -> Self:
        """A note of a new acquisition by this process."""
        pid = os.getpid()
        return cls(
            holder=holder,
            host=host_id(),
            pid=pid,
            started=process_start(pid) or "",
            expires_at=expires_at,
            nonce=secrets.token_hex(16),
        )

    def until(self, expires_at: datetime) -> LeaseNote:
        """The same acquisition with another expiry."""
        return replace(self, expires_at=expires_at)

    def to_bytes(self) -> bytes:
        """JSON, one field a line."""
        fields = {
            "format_version": 1,
            "holder": self.holder,
            "host": self.host,
            "pid": self.pid,
            "started": self.started,
            "expires_at": self.expires_at.isoformat(),
            "nonce": self.nonce,
        }
        return json.dumps(fields, indent=2).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """The note in a blob, or None when it is of no known form."""
        try:
            fields = json.loads(data)
            expires_at = datetime.fromisoformat(fields["expires_at"])
            if fields["format_version"] != 1 or expires_at.tzinfo is None:
                return None
            return cls(
                holder=str(fields["holder"]),
                host=str(fields["host"]),
                pid=int(fields["pid"]),
                started=str(fields["started"]),
                expires_at=expires_at,
                nonce=str(fields["nonce"]),
            )
        except (ValueError, KeyError, TypeError):
            return None

    def is_dead(self) -> bool:
        """Whether the holder ran on this machine and is certainly gone."""
        if not self.host or self.host != host_id():
            return False
        started = process_start(self.pid)
        return started is None or self.started not in {"", started}


def default_holder() -> str:
    """This process for people: ``user@machine, process 123``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"


def host_id() -> str:
    """Names this boot of this machine and its process numbering; empty where that cannot be told.

    Containers of one machine share the boot but not the numbers.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        numbering = (_PROC / "self/ns/pid").readlink().name
    except OSError:
        return ""
    return f"{boot}/{numbering}"


def process_start(pid: int) -> str | None:
    """When a living process began, in clock ticks since boot; None when there is none."""
    try:
        status = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError:
        # It is there, but not ours to look at.
        return ""
    # The name in parentheses may hold anything; state and the rest follow its last parenthesis.
    fields = status[status.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()
