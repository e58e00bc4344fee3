"""What the shipped int8 file computes from the drawn streets, to the byte, on every CPU.

After a change of ai-edge-litert or of the shipped file, look at what changed and write it anew:

    FASTSCNN_TARGETS=available FASTSCNN_WRITE_GOLDEN=1 \\
        .venv/bin/python -m pytest tests/targets/test_golden.py
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import numpy as np

import fastscnn_tf as fs
from fastscnn_tf.core.images.image_file import read_image

FILE = Path(__file__).with_name("golden.json")
COMMAND = (
    "FASTSCNN_TARGETS=available FASTSCNN_WRITE_GOLDEN=1 .venv/bin/python -m pytest "
    "tests/targets/test_golden.py"
)
LOGITS_OF = "street_own"  # of the model's own size: no resizing in front


def digest(values: np.ndarray) -> str:
    """SHA-256 of an array's dtype, shape and bytes."""
    head = f"{values.dtype.name} {values.shape} ".encode()
    return hashlib.sha256(head + np.ascontiguousarray(values).tobytes()).hexdigest()


def computed(
    model: Path, streets: dict[str, Path], labels: dict[str, np.ndarray]
) -> dict[str, Any]:
    """The content of golden.json by this machine: what it is bound to, and what comes out."""
    logits = fs.Segmenter(model, threads=1).run(read_image(streets[LOGITS_OF]))
    return {
        "bound_to": bound_to(model, streets),
        "logits": digest(logits),
        "labels": {name: digest(values) for name, values in labels.items()},
    }


def bound_to(model: Path, streets: dict[str, Path]) -> dict[str, Any]:
    """The versions and inputs for which the hashes hold."""
    return {
        "ai_edge_litert": importlib.metadata.version("ai-edge-litert"),
        "model": hashlib.sha256(model.read_bytes()).hexdigest(),
        "pictures": {name: digest(read_image(path)) for name, path in streets.items()},
    }


def read_golden(model: Path, streets: dict[str, Path]) -> dict[str, Any]:
    """The committed hashes, which must be those of this model, these pictures and this LiteRT."""
    golden = json.loads(FILE.read_text())
    found = bound_to(model, streets)
    for key, value in golden["bound_to"].items():
        assert value == found[key], (
            f"{FILE.name} is of another {key}: {value}, here {found[key]}. Look at what changed, "
            f"then write it anew: {COMMAND}"
        )
    return golden
