"""File systems of fsspec by scheme, with what to install where one is missing."""

from __future__ import annotations

from typing import Any

from registry_tool.storage.problems import not_allowed, translated, unusable

_EXTRAS = {"s3": "registry-tool[s3]", "s3a": "registry-tool[s3]"}
# These read another location, so that a prefix of theirs would say nothing about what is read.
_INDIRECT = {
    *("local", "asynclocal", "data", "dir", "generic", "git", "libarchive", "reference", "root"),
    *("blockcache", "cached", "filecache", "simplecache", "tar", "zip"),
}


def file_system(scheme: str, **options: Any) -> Any:
    """The file system for a scheme; raises StorageProblem (RT501, RT508)."""
    if scheme in _INDIRECT:
        raise not_allowed(
            f"{scheme}://",
            "this scheme reads other locations",
            help="name the location itself: an absolute path or the URL of an object store",
        )
    try:
        import fsspec
        from fsspec.registry import known_implementations

        return fsspec.filesystem(scheme, use_listings_cache=False, **options)
    except ImportError as problem:
        module = str(known_implementations[scheme]["class"]).split(".")[0]
        package = _EXTRAS.get(scheme) or (module if module != "fsspec" else problem.name)
        raise unusable(
            f"{scheme}://",
            "cannot be used: the library for this scheme is not installed",
            help=f"pip install '{package or scheme}'",
        ) from problem
    except ValueError as problem:
        raise unusable(
            f"{scheme}://",
            "cannot be used: no file system is known for this scheme",
            help="use an absolute path, or a URL such as s3://bucket/prefix",
        ) from problem
    except Exception as problem:
        raise translated(f"{scheme}://", problem, "use") from problem
