"""Storage paths and the paths of files in them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, WithJsonSchema

_URL = re.compile(r"[a-z][a-z0-9+.-]*://.*", re.ASCII)


def _storage_path(text: str) -> str:
    if "::" in text:
        raise ValueError('a storage path has no "::"')
    if not text.isprintable():
        raise ValueError("a storage path has printable characters only")
    _, separator, rest = text.partition("://") if _URL.fullmatch(text) else ("", "", text)
    if not separator and not text.startswith("/"):
        raise ValueError("a storage path is a URL such as s3://bucket/prefix or an absolute path")
    if ".." in rest.split("/"):
        raise ValueError('a storage path has no ".." component')
    return text


StoragePath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    AfterValidator(_storage_path),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 1024,
            "pattern": r"^([a-z][a-z0-9+.-]*://|/)",
            "examples": ["s3://models/minilm", "/mnt/ceph/models/minilm"],
        }
    ),
]
"""A URL or an absolute path, without ``..`` and ``::``."""


def normal_storage_path(text: str) -> str:
    """One spelling: no doubled or trailing slashes, no ``.``; `file://` is the plain path."""
    text = text.removeprefix("file://")
    if _URL.fullmatch(text):
        scheme, _, rest = text.partition("://")
        return (
            f"{scheme}://{posixpath.normpath(rest).strip('/')}"
            if rest.strip("/")
            else f"{scheme}://"
        )
    normal = posixpath.normpath(text)
    return "/" + normal.lstrip("/")


def is_allowed(path: str, prefixes: Iterable[str]) -> bool:
    """Whether `path` equals or lies under one of the prefixes, compared by whole components."""
    normal = normal_storage_path(path)
    for prefix in map(normal_storage_path, prefixes):
        if normal == prefix or normal.startswith(prefix if prefix.endswith("/") else prefix + "/"):
            return True
    return False


def locked_path_problem(path: str) -> str | None:
    """Why a path may not appear in a lock, or None.

    Locked paths are relative, printable UTF-8 with forward slashes, without ``.``, ``..``, empty or ``.wh.``
    components (an OCI layer gives those a meaning), so that `sha256sum -c` and every extractor read them alike.
    """
    if not path or len(path.encode(errors="surrogatepass")) > 1024:
        return "it is empty or longer than 1024 bytes"
    if path.startswith("/"):
        return "it is absolute"
    if "\\" in path or not path.isprintable():
        return "it has a backslash or a character that cannot be printed"
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        return 'it has an empty, "." or ".." component'
    if any(part.startswith(".wh.") for part in parts):
        return 'it has a ".wh." component, which deletes files in an image layer'
    return None


def _locked_path(text: str) -> str:
    problem = locked_path_problem(text)
    if problem:
        raise ValueError(f'"{text}" cannot be a locked path: {problem}')
    return text


LockedPath = Annotated[
    str,
    AfterValidator(_locked_path),
    WithJsonSchema({"type": "string", "maxLength": 1024, "pattern": r"^[^/\\][^\\]*$"}),
]
"""A file's path relative to the storage path, safe in layers and checksum files."""


def image_path_problem(path: str) -> str | None:
    """Why files cannot be put at `path` in an image, or None."""
    if not path.startswith("/") or path == "/" or not path.isprintable() or "\\" in path:
        return "a path in an image is absolute and printable, for example /models/minilm"
    if any(part in {"", ".", ".."} or part.startswith(".wh.") for part in path[1:].split("/")):
        return 'a path in an image has no empty, ".", ".." or ".wh." component'
    return None


def _image_path(text: str) -> str:
    problem = image_path_problem(text)
    if problem:
        raise ValueError(problem)
    return text


ImagePath = Annotated[
    str,
    StringConstraints(max_length=1024),
    AfterValidator(_image_path),
    WithJsonSchema({"type": "string", "maxLength": 1024, "pattern": r"^/[^\\]*[^/\\]$"}),
]
"""An absolute, normal path inside an image."""
