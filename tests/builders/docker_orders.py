"""Orders with Dockerfiles, for a real engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from native_orders import CountingStorage, Workshop

from registry_tool.builders.docker import DockerBuilder
from registry_tool.builders.interface import BuildOrder, BuiltRelease
from registry_tool.builders.templates import RenderedFile, RenderedTemplate
from registry_tool.domain.build_template import BaseImage
from registry_tool.domain.digests import canonical_sha256
from registry_tool.domain.progress import Silent

FILES = {
    "model.safetensors": b"weights" * 1000,
    "config.json": b'{"layers": 2}',
    "code/serve.py": b"print('hello')\n",
    "requirements.txt": b"",
    "deps/tool-1.0-py3-none-any.whl": b"a wheel",
    "third_party/lib/notice.txt": b"thanks",
}
TARGET = "/models/minilm"


class Told:
    """Progress, kept."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.tasks: dict[str, str] = {}
        self.bytes: dict[str, int] = {}
        self.open: set[str] = set()

    def start(self, task: str, description: str, total: int | None = None) -> None:
        self.tasks[task] = description
        self.open.add(task)

    def advance(self, task: str, count: int) -> None:
        self.bytes[task] = self.bytes.get(task, 0) + count

    def finish(self, task: str) -> None:
        self.open.discard(task)

    def message(self, text: str) -> None:
        self.messages.append(text)


class DockerWorkshop(Workshop):
    """A workshop whose orders have Dockerfiles."""

    def order(self, version: str = "1.0.0", *, salt: str = "", **rest: Any) -> BuildOrder:
        # One engine may be used by several runs of the tests, and names what it builds by the key.
        return super().order(version, salt=f"{self.path}{salt}", **rest)

    def dockerfile(
        self,
        text: str,
        *,
        base: str = "",
        reference: str = "registry.example/base:1",
        version: str = "1.0.0",
        files: Sequence[tuple[str, bytes, int]] = (),
        target: str = TARGET,
        timeout: float = 120,
        salt: str = "",
    ) -> BuildOrder:
        """An order; `{base}` in the text is the base image of that id, `{new}` something that no cache knows."""
        text = text.replace("{new}", uuid4().hex)
        text = text.replace("{base}", f"{reference}@{base}")
        plain = self.order(version, target=target, salt=salt + text)
        bases = [BaseImage(name="base", reference=reference, digest=base)] if base else []
        template = RenderedTemplate(
            name="server",
            target=target,
            params={},
            given={},
            image=None,
            dockerfile=text,
            files=tuple(RenderedFile(*file) for file in files),
            bases=tuple(bases),
        )
        key = canonical_sha256(
            [plain.key, [[path, content.hex(), mode] for path, content, mode in files]]
        )
        return replace(plain, template=template, key=key, timeout=timedelta(seconds=timeout))

    def run(
        self, order: BuildOrder, check: Callable[[], None] = lambda: None, **parts: Any
    ) -> BuiltRelease:
        builder = parts.get("builder") or DockerBuilder()
        store, storage = parts.get("store", self.store), parts.get("storage", self.storage)
        return builder.build(order, store, storage, parts.get("progress", Silent()), check)

    def counting(self) -> CountingStorage:
        return CountingStorage([str(self.path / "storage")])
