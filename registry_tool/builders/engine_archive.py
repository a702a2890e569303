"""An image on its way out of an engine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar, cast

from registry_tool.builders.engine import Engine
from registry_tool.builders.engine_connection import translated

T = TypeVar("T")
_CONNECT_TIMEOUT = 10.0


class EngineArchive:
    """`GET /images/{id}/get`: `read` is called once, `abandon` from any thread."""

    def __init__(self, engine: Engine, image: str, timeout: float) -> None:
        self._engine = engine
        self._image = image
        self._timeout = timeout
        self._response: Any = None

    def read(self, use: Callable[[BinaryIO], T]) -> T:
        """What `use` makes of the archive, which need not be read to its end; raises EngineProblem."""
        api = self._engine.api
        doing = f"exporting the image {self._image}"
        with translated(doing):
            # Engines before 25 write all of it to their disk before they answer.
            self._response = api.get(
                api._url("/images/{0}/get", self._image),
                stream=True,
                timeout=(_CONNECT_TIMEOUT, self._timeout),
            )
        with self._response as response, translated(doing):
            api._raise_for_status(response)
            return use(cast("BinaryIO", response.raw))

    def abandon(self) -> None:
        """End a `read` that runs: what it waits for does not come any more."""
        if self._response is not None:
            # Either says that it has ended by itself.
            with suppress(RuntimeError, ValueError), translated("ending the export"):
                self._response.raw.shutdown()
