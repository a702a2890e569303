"""Reading a repository with the rights that a push needs, where the login has them.

A repository that does not exist yet may be invisible to whoever asks for the right to read it: some token
servers refuse that, and give the right to push, which creates it. So both are asked for, and only reading
where that is refused.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from registry_tool.oci.registry_answers import AccessRefused, Answer
from registry_tool.oci.registry_http import RegistryHttp, Request
from registry_tool.oci.registry_names import pull, push


class RegistryAccess:
    """Reads the repositories of one registry; remembers those that the login may only read."""

    def __init__(self, http: RegistryHttp) -> None:
        self._http = http
        self._lock = threading.Lock()
        self._read_only: set[str] = set()

    def read(self, path: str, request: Request) -> Answer:
        """Send a request without a body about the repository `path`."""
        with self._lock:
            read_only = path in self._read_only
        if not read_only:
            try:
                return self._http.request(replace(request, scopes=push(path)))
            except AccessRefused:
                answer = self._http.request(replace(request, scopes=pull(path)))
            with self._lock:
                self._read_only.add(path)
            return answer
        return self._http.request(replace(request, scopes=pull(path)))
