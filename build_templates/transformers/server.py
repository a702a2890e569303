"""Serves a Transformers pipeline over the model below a directory.

    GET  /health       200 once the model is loaded
    POST /v1/predict   {"inputs": what the pipeline takes, "parameters": {name: value}}

Answers are {"outputs": what the pipeline gives}; failures are {"detail": …}: 413 for a body that is
too large, 422 for what the pipeline does not take. Code in the model's directory is never run.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, ValidationError
from transformers import pipeline

MODEL_PATH = Path(os.environ.get("MODEL_PATH", "/models"))
MAX_BODY = int(os.environ.get("MAX_BODY_MIB", "32")) << 20


class Asked(BaseModel):
    """The body of a prediction."""

    model_config = ConfigDict(extra="forbid")

    inputs: Any
    parameters: dict[str, Any] = {}


class Predictor:
    """The pipeline; one prediction at a time, since pipelines do not promise more."""

    def __init__(self) -> None:
        device = os.environ.get("DEVICE", "auto")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._lock = threading.Lock()
        self._pipeline = pipeline(
            os.environ["TASK"],
            model=str(MODEL_PATH),
            device=device,
            dtype=os.environ.get("DTYPE", "auto"),
            trust_remote_code=False,
        )

    def predict(self, asked: Asked) -> Any:
        """Outputs as JSON values; raises ValueError or TypeError for what the pipeline does not take."""
        with self._lock, torch.inference_mode():
            return _json(self._pipeline(asked.inputs, **asked.parameters))


def _json(value: Any) -> Any:
    """A JSON value; what is not finite has no number in JSON and becomes null."""
    if hasattr(value, "tolist"):
        return _json(value.tolist())
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.predictor = Predictor()
    yield


app = FastAPI(title=os.environ.get("MODEL_NAME", "model"), lifespan=_lifespan)


@app.exception_handler(Exception)
def failed(_request: Request, _problem: Exception) -> JSONResponse:
    """A fault of the model, whose traceback is in the log."""
    return JSONResponse({"detail": "the prediction failed"}, 500)


@app.get("/health")
def health() -> dict[str, str]:
    """Answers once the model is loaded."""
    return {"status": "ok"}


@app.post("/v1/predict")
async def predict(request: Request) -> JSONResponse:
    """Run the pipeline."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the body is larger than {MAX_BODY} bytes")
    try:
        asked = Asked.model_validate_json(bytes(body))
    except ValidationError as problem:
        raise HTTPException(422, problem.errors(include_url=False, include_input=False)) from None
    try:
        outputs = await run_in_threadpool(app.state.predictor.predict, asked)
    except (TypeError, ValueError) as problem:
        raise HTTPException(422, f"the pipeline refused the inputs: {problem}") from problem
    return JSONResponse({"outputs": outputs})


def main() -> None:
    """Serve until told to stop."""
    if not MODEL_PATH.is_dir():
        sys.exit(f"there is no directory {MODEL_PATH}")
    uvicorn.run(
        app,
        host="0.0.0.0",  # noqa: S104 - a container's port is published by whoever runs it
        port=int(os.environ.get("PORT", "8000")),
    )


if __name__ == "__main__":
    main()
