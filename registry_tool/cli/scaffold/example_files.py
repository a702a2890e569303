"""The files of the example model: real formats, a few kilobytes, the same bytes on every machine.

The example's locks are computed from exactly these bytes; `init` writes them to local storage, so that a new
repository can build and deploy before anybody has brought a model.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping

EXAMPLE_STORAGE = "/srv/models"
"""The storage prefix that the example manifests name; `init` replaces it."""
EXAMPLE_FOLDER = "minilm/1.0.0"
"""Where the example's files live below the storage prefix."""
_TEXT = "[PAD] [UNK] [CLS] [SEP] a model registry keeps what was built from which weights and why"
_WORDS = _TEXT.split()
_HIDDEN = 32


def example_files() -> dict[str, bytes]:
    """All files of the example model by their path below `EXAMPLE_FOLDER`."""
    shapes = {
        "embeddings.word_embeddings.weight": (len(_WORDS), _HIDDEN),
        "encoder.layer.0.attention.self.query.weight": (_HIDDEN, _HIDDEN),
        "encoder.layer.0.attention.self.key.weight": (_HIDDEN, _HIDDEN),
        "encoder.layer.0.attention.self.value.weight": (_HIDDEN, _HIDDEN),
        "encoder.layer.0.output.dense.weight": (_HIDDEN, _HIDDEN),
    }
    return {
        "config.json": _json(
            {
                "architectures": ["BertModel"],
                "hidden_size": _HIDDEN,
                "model_type": "bert",
                "num_attention_heads": 2,
                "num_hidden_layers": 1,
                "vocab_size": len(_WORDS),
            }
        ),
        "model.int8.safetensors": _safetensors(shapes, "I8"),
        "model.safetensors": _safetensors(shapes, "F16"),
        "tokenizer.json": _json(
            {
                "version": "1.0",
                "model": {
                    "type": "WordLevel",
                    "vocab": {word: number for number, word in enumerate(_WORDS)},
                    "unk_token": "[UNK]",
                },
            }
        ),
    }


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def _safetensors(shapes: Mapping[str, tuple[int, int]], dtype: str) -> bytes:
    """The safetensors format: length of the header, a JSON header, then the tensors one after the other."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, shape in shapes.items():
        tensor = _tensor(name, shape[0] * shape[1], dtype)
        header[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [len(body), len(body) + len(tensor)],
        }
        body += tensor
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def _tensor(name: str, count: int, dtype: str) -> bytes:
    """Numbers in (-1, 1) that only depend on the tensor's name; 8-bit ones are the same, quantized."""
    noise = hashlib.shake_256(name.encode()).digest(count)
    numbers = [byte - 128 for byte in noise]
    if dtype == "I8":
        return struct.pack(f"<{count}b", *numbers)
    return struct.pack(f"<{count}e", *(number / 128 for number in numbers))
