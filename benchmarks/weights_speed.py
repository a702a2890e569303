"""Releasing weights into a registry: beside Docker, and beside hashing and copying the same bytes.

Random safetensors files go to an empty `docker-registry` on this machine: by curl, by `registry-tool apply`, then by
`docker build` and `docker push` from an empty engine. Then only the code changes, and a builder that has nothing does
it again: a fresh clone without the weights here, another empty engine with the whole context there. Docker compresses
layers as it pushes them, and cannot be told not to.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.corpus import git
from benchmarks.engine import NoEngine, clean_engine, docker

FILES = 4
BUFFER = 8 << 20
GOALS = (
    ("ours, first release", "docker build + push", "at least 8 ×", 8.0),
    ("ours, code-only change", "docker, code-only change", "at least 30 ×", 30.0),
)
_BARE = "curl, all files at once, digests known"
_UPLOADED = re.compile(r'"PUT /v2/\S*/blobs/uploads/\S*digest=sha256(?::|%3A)([0-9a-f]{64})')
_REGISTRY = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "127.0.0.1:{port}", secret: benchmark}}
"""
_MANIFESTS = {
    "manifests/registry.yaml": """\
apiVersion: registry-tool/v1
kind: Registry
metadata: {{name: benchmark}}
spec:
  images: {{repository: "{host}/ours", insecure: true}}
  storage: {{allowed: [{storage}]}}
""",
    "manifests/models/weights.yaml": """\
apiVersion: registry-tool/v1
kind: Model
metadata: {{name: weights}}
spec: {{storage_path: {storage}/weights}}
""",
    "manifests/releases/weights/1.0.0/none.yaml": """\
apiVersion: registry-tool/v1
kind: Release
spec: {{model: weights, version: 1.0.0, template: {{name: server}}}}
""",
    "build_templates/server/template.yaml": """\
apiVersion: registry-tool/v1
kind: BuildTemplate
metadata: {{name: server}}
spec:
  image:
    base: scratch
    copy: [{{from: serve.py, to: /serve.py}}]
""",
    "build_templates/server/serve.py": "print('first')\n",
}


@dataclass
class Run:
    """One timed side: seconds, peak memory of its processes, and the most it had on disk besides its result."""

    name: str
    seconds: float
    peak_mib: float | None = None
    disk_mib: float | None = None


@dataclass
class Result:
    """All sides, and what the registry saw."""

    gib: float
    runs: list[Run] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def seconds(self, name: str) -> float | None:
        """Of one side, if it ran."""
        return next((run.seconds for run in self.runs if run.name == name), None)


def measure(gib: float) -> Result:
    """All sides, each once."""
    result = Result(gib)
    with tempfile.TemporaryDirectory(prefix="registry-tool-bench-") as name:
        folder = Path(name)
        weights = folder / "storage" / "weights"
        _write_weights(weights, int(gib * (1 << 30)))
        with _registry(folder / "registry") as host:
            _hash_and_copy(weights, folder / "copy", result)
            _curl(weights, host, result)
            _ours(folder, host, result)
            try:
                _docker(folder, host, weights, result)
            except NoEngine as problem:
                result.notes.append(f"Docker was not measured: {problem}")
    return result


def _write_weights(folder: Path, size: int) -> None:
    """Files with a safetensors header over random bytes."""
    folder.mkdir(parents=True)
    each = size // FILES
    for number in range(FILES):
        tensor = {"dtype": "U8", "shape": [each], "data_offsets": [0, each]}
        header = json.dumps({f"layer.{number}": tensor}).encode()
        with (folder / f"model-{number + 1:05}-of-{FILES:05}.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            for start in range(0, each, BUFFER):
                file.write(os.urandom(min(BUFFER, each - start)))


def _hash_and_copy(weights: Path, target: Path, result: Result) -> None:
    """The same bytes once through SHA-256 and onto the disk, one file at a time."""
    target.mkdir()
    start = time.perf_counter()
    buffer = memoryview(bytearray(BUFFER))
    for path in sorted(weights.iterdir()):
        digest = hashlib.sha256()
        with path.open("rb", 0) as source, (target / path.name).open("wb", 0) as copy:
            while count := source.readinto(buffer):
                digest.update(buffer[:count])
                copy.write(buffer[:count])
    result.runs.append(Run("hash and copy the same bytes", time.perf_counter() - start))
    shutil.rmtree(target)


def _curl(weights: Path, host: str, result: Result) -> None:
    """The files as blobs, all at once, nothing computed: what this registry needs to take so many bytes."""
    if shutil.which("curl") is None:
        result.notes.append("The bare upload was not measured: there is no curl.")
        return
    uploads = []
    for path in sorted(weights.iterdir()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request("POST", "/v2/curl/weights/blobs/uploads/")
        place = connection.getresponse().headers["Location"]
        connection.close()
        uploads.append((path, f"{place}&digest=sha256:{digest}"))
    start = time.perf_counter()
    running = [
        subprocess.Popen(
            ["curl", "--silent", "--fail", "--upload-file", path, place],
            stdout=subprocess.DEVNULL,
        )
        for path, place in uploads
    ]
    codes = [process.wait() for process in running]
    if any(codes):
        raise RuntimeError("the registry refused what curl sent")
    result.runs.append(Run(_BARE, time.perf_counter() - start))


def _ours(folder: Path, host: str, result: Result) -> None:
    root = folder / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    for path, text in _MANIFESTS.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.format(host=host, storage=folder / "storage"))
    _commit(root, "Add a release")
    result.runs.append(
        _tool("ours, lock (once for all builds)", folder, root, "lock", "weights/1.0.0")
    )
    _commit(root, "Lock it")
    result.runs.append(_tool("ours, first release", folder, root, "apply"))
    before = _uploads(folder)
    (root / "build_templates/server/serve.py").write_text("print('second')\n")
    _commit(root, "Change the code")
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", "--bare", root, clone], check=True)
    # A builder that has never seen the weights.
    hidden = (folder / "storage").rename(folder / "hidden")
    result.runs.append(_tool("ours, code-only change", folder, clone, "apply"))
    hidden.rename(folder / "storage")
    lock = (root / "manifests/releases/weights/1.0.0/none.lock.yaml").read_text()
    again = [digest for digest in _uploads(folder)[len(before) :] if digest in lock]
    if again:
        raise RuntimeError(f"weights were sent again: {again}")
    result.notes.append(
        "In the code-only change no weight was read or sent: the storage was not there."
    )


def _commit(root: Path, message: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", message)


def _tool(name: str, folder: Path, root: Path, *arguments: str) -> Run:
    """Run registry-tool once, with a temporary directory of its own that is watched."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    state = root / (
        "registry-tool" if root.suffix or not (root / ".git").exists() else ".git/registry-tool"
    )
    with _watched((scratch, state)) as largest:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "registry_tool", "--repo", str(root), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(scratch)},
        )
        output = process.stdout.read() if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"registry-tool {' '.join(arguments)}:\n{output.decode()[-2000:]}")
    return Run(name, seconds, usage.ru_maxrss / 1024, largest[0] / (1 << 20))


@contextmanager
def _watched(folders: tuple[Path, ...]) -> Iterator[list[int]]:
    """The largest number of bytes that was below these folders, looked at many times a second."""
    largest = [0]
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.05):
            largest[0] = max(largest[0], sum(_bytes_below(folder) for folder in folders))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield largest
    finally:
        stop.set()
        thread.join()


def _bytes_below(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def _docker(folder: Path, host: str, weights: Path, result: Result) -> None:
    context = folder / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY weights /weights\nCOPY serve.py /\n")
    # Hard links: the context is there before anything is timed.
    shutil.copytree(weights, context / "weights", copy_function=os.link)
    for name, code in (("docker build + push", "first"), ("docker, code-only change", "second")):
        (context / "serve.py").write_text(f"print('{code}')\n")
        with clean_engine(folder / "engine") as environment:
            image = f"{host}/docker/weights:{code}"
            start = time.perf_counter()
            for command in (["build", "--quiet", "--tag", image, "."], ["push", "--quiet", image]):
                _check([docker(), *command], context, environment)
            result.runs.append(Run(name, time.perf_counter() - start))
    version = subprocess.run([docker(), "--version"], capture_output=True, text=True, check=True)
    result.notes.append(f"{version.stdout.strip()}, BuildKit, weights copied before the code.")


def _check(command: list[str], cwd: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])}: {done.stderr[-2000:]}")


@contextmanager
def _registry(folder: Path) -> Iterator[str]:
    """An empty docker-registry; `host:port`."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config.yml").write_text(_REGISTRY.format(folder=folder, port=port))
    with (folder / "log").open("wb") as log:
        command = ["docker-registry", "serve", str(folder / "config.yml")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while not _answers(port):
            if process.poll() is not None:
                raise RuntimeError((folder / "log").read_text()[-2000:])
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v2/")
        connection.getresponse().read()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _uploads(folder: Path) -> list[str]:
    """Digests of the blobs that the registry took, in order."""
    return _UPLOADED.findall((folder / "registry" / "log").read_text(errors="replace"))


def report(result: Result) -> str:
    """The result as a Markdown section."""
    lines = [
        f"## {result.gib:g} GiB of random safetensors in {FILES} files",
        "",
        "| side | s | peak memory MiB | temporary disk MiB |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {run.name} | {run.seconds:.2f} | {_number(run.peak_mib)} | {_number(run.disk_mib)} |"
        for run in result.runs
    ]
    lines.append("")
    for ours, theirs, goal, factor in GOALS:
        mine, other = result.seconds(ours), result.seconds(theirs)
        if mine is not None and other is not None:
            met = "met" if other / mine >= factor else "missed"
            lines.append(f"- {ours} : {theirs} = 1 : {other / mine:.1f} (goal {goal}: {met})")
    mine = result.seconds("ours, first release") or 0.0
    floor = result.seconds("hash and copy the same bytes") or 1.0
    met = "met" if mine <= 2 * floor else "missed"
    lines.append(
        f"- ours, first release : hash and copy = {mine / floor:.2f} : 1 (goal at most 2: {met})"
    )
    if bare := result.seconds(_BARE):
        lines.append(
            f"- ours, first release : bare upload by curl = {mine / bare:.2f} : 1 (most of the time is the"
            " registry's, which hashes what it takes)"
        )
    lines += [f"- {note}" for note in result.notes]
    return "\n".join([*lines, ""])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
