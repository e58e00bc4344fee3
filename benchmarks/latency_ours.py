"""Our side of `latency.py`: a .tflite in the runtime that a device has, without TensorFlow.

`graph` runs the file and takes what it gives; `labels` is `Segmenter.predict`: from the image to
the label map of its size.
"""

from __future__ import annotations

import time
from pathlib import Path

from turns import serve, timed_pictures

from fastscnn_tf.runtime.segmenter import Segmenter


def build(order):
    """A segmenter that has loaded its file."""
    start = time.perf_counter()
    segmenter = Segmenter(order["file"], order["threads"])
    run = segmenter.run if order["kind"] == "graph" else segmenter.predict
    about = {
        "load_seconds": time.perf_counter() - start,
        "bytes": Path(order["file"]).stat().st_size,
    }
    return about, timed_pictures(run)


if __name__ == "__main__":
    serve(build)
