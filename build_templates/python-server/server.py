"""Serves the ONNX models below a directory.

    GET  /health       200 once all models are loaded
    GET  /v1/models    their names, inputs and outputs
    POST /v1/predict   {"inputs": {name: nested lists}, "model": name, "outputs": [name]}

`model` may be left out where there is one, `outputs` always. Failures are {"detail": …}: 404 for an
unknown model, 413 for a body that is too large, 422 for inputs that do not fit.

A release can bring `hooks.py` with `before(model, inputs)` and `after(model, outputs)`: functions
from JSON to JSON, called around each prediction. Both are optional.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors
from pydantic import BaseModel, ConfigDict, ValidationError

MODEL_PATH = Path(os.environ.get("MODEL_PATH", "/models"))
MAX_BODY = int(os.environ.get("MAX_BODY_MIB", "32")) << 20
_TYPES = {
    "bool": np.bool_,
    "double": np.float64,
    "float": np.float32,
    "float16": np.float16,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "string": np.object_,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
}


class BadInput(Exception):
    """The request does not fit the model; the message says how."""


class Model:
    """One ONNX file, ready to run from several threads."""

    def __init__(self, name: str, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("THREADS", "0"))
        self.name = name
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=onnxruntime.get_available_providers()
        )
        self._inputs = {value.name: value for value in self._session.get_inputs()}
        self._outputs = [value.name for value in self._session.get_outputs()]

    def description(self) -> dict[str, Any]:
        """What it takes and gives."""
        return {
            "name": self.name,
            "inputs": [_described(value) for value in self._session.get_inputs()],
            "outputs": [_described(value) for value in self._session.get_outputs()],
        }

    def predict(self, inputs: dict[str, Any], wanted: list[str] | None) -> dict[str, Any]:
        """Outputs by name, as JSON values; raises BadInput."""
        _check_names("input", inputs, self._inputs, missing=True)
        outputs = self._outputs if wanted is None else wanted
        _check_names("output", outputs, self._outputs, missing=False)
        feed = {name: _array(self._inputs[name], value) for name, value in inputs.items()}
        try:
            values = self._session.run(outputs, feed)
        except (onnx_errors.InvalidArgument, onnx_errors.RuntimeException) as problem:
            raise BadInput(f"the model refused the inputs: {problem}") from problem
        return {name: _json(value) for name, value in zip(outputs, values, strict=True)}


def _described(value: Any) -> dict[str, Any]:
    return {"name": value.name, "type": value.type, "shape": value.shape}


def _check_names(what: str, given: Any, known: Any, *, missing: bool) -> None:
    unknown = [name for name in given if name not in known]
    absent = [name for name in known if name not in given] if missing else []
    if unknown or absent:
        problem = f"no such {what}: {unknown[0]}" if unknown else f"missing {what}: {absent[0]}"
        raise BadInput(f"{problem}; the model has {', '.join(known)}")


def _array(expected: Any, value: Any) -> np.ndarray:
    kind = expected.type.removeprefix("tensor(").removesuffix(")")
    if kind not in _TYPES:
        raise BadInput(f"input {expected.name}: {expected.type} cannot be sent as JSON")
    try:
        given = np.asarray(value)
        array = np.asarray(value, dtype=_TYPES[kind])
    except (ValueError, TypeError, OverflowError) as problem:
        raise BadInput(f"input {expected.name}: not a {expected.type}: {problem}") from problem
    if given.dtype.kind not in _fitting_kinds(array.dtype.kind, empty=not given.size):
        raise BadInput(f"input {expected.name}: {given.dtype} values in place of {kind}")
    wanted = list(expected.shape)
    fits = len(wanted) == array.ndim and all(
        not isinstance(size, int) or size == found
        for size, found in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        raise BadInput(f"input {expected.name}: shape {list(array.shape)} in place of {wanted}")
    return array


def _fitting_kinds(kind: str, *, empty: bool) -> str:
    """NumPy's kinds of values that become another kind without a loss."""
    if empty:
        return "fiubUO"
    return {"f": "fiu", "i": "iu", "u": "iu", "b": "b", "O": "U"}[kind]


def _json(value: Any) -> Any:
    """A JSON value; what is not finite has no number in JSON and becomes null."""
    if isinstance(value, np.ndarray | np.generic):
        return _json(value.tolist())
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class Hooks:
    """What the release does before and after each prediction."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("hooks")
        module = importlib.import_module("hooks") if found else None
        self.before: Callable[[str, Any], Any] = getattr(module, "before", _unchanged)
        self.after: Callable[[str, Any], Any] = getattr(module, "after", _unchanged)


def _unchanged(_model: str, value: Any) -> Any:
    return value


def find_models() -> dict[str, Path]:
    """ONNX files by their name: the path below MODEL_PATH without its ending."""
    files = sorted(MODEL_PATH.rglob("*.onnx"))
    return {file.relative_to(MODEL_PATH).with_suffix("").as_posix(): file for file in files}


class Asked(BaseModel):
    """The body of a prediction."""

    model_config = ConfigDict(extra="forbid")

    inputs: dict[str, Any]
    model: str | None = None
    outputs: list[str] | None = None


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.hooks = Hooks()
    app.state.models = {name: Model(name, path) for name, path in find_models().items()}
    yield


app = FastAPI(title=os.environ.get("MODEL_NAME", "models"), lifespan=_lifespan)


@app.exception_handler(Exception)
def failed(_request: Request, _problem: Exception) -> JSONResponse:
    """A fault of the model or the hooks, whose traceback is in the log."""
    return JSONResponse({"detail": "the prediction failed"}, 500)


@app.get("/health")
def health() -> dict[str, Any]:
    """Answers once all models are loaded."""
    return {"status": "ok", "models": list(app.state.models)}


@app.get("/v1/models")
def models() -> dict[str, Any]:
    """What can be asked."""
    return {"models": [model.description() for model in app.state.models.values()]}


@app.post("/v1/predict")
async def predict(request: Request) -> JSONResponse:
    """Run a model."""
    try:
        asked = Asked.model_validate_json(await _body(request))
    except ValidationError as problem:
        raise HTTPException(422, problem.errors(include_url=False, include_input=False)) from None
    return JSONResponse(await run_in_threadpool(_answer, asked))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the body is larger than {MAX_BODY} bytes")
    return bytes(body)


def _answer(asked: Asked) -> dict[str, Any]:
    known = app.state.models
    name = next(iter(known)) if asked.model is None and len(known) == 1 else asked.model
    if name not in known:
        what = "name one with model" if name is None else f"there is no model {name}"
        raise HTTPException(404, f"{what}: {', '.join(known)}")
    hooks = app.state.hooks
    try:
        outputs = known[name].predict(hooks.before(name, asked.inputs), asked.outputs)
    except BadInput as problem:
        raise HTTPException(422, str(problem)) from problem
    return {"model": name, "outputs": _json(hooks.after(name, outputs))}


def main() -> None:
    """Serve until told to stop."""
    if not find_models():
        sys.exit(f"there is no .onnx file below {MODEL_PATH}")
    uvicorn.run(
        "server:app",
        app_dir=str(Path(__file__).parent),
        host="0.0.0.0",  # noqa: S104 - a container's port is published by whoever runs it
        port=int(os.environ.get("PORT", "8000")),
        workers=int(os.environ.get("WORKERS", "1")),
    )


if __name__ == "__main__":
    main()
