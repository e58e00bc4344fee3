"""An example to start from: what the camera sees, as one line of JSON for each frame.

    python segment.py picamera m.tflite --rotate 180        # 0 or /dev/video0: a USB webcam
    python segment.py drive.mp4 m.tflite
    python segment.py images/ m.tflite --output labels    # label maps as PNG, too

Needs the runtime alone (no TensorFlow), picamera2 for the Pi's camera and OpenCV for webcams and
videos. To watch with an overlay, or to measure, there is `fastscnn watch`.
"""

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.files.json_text import dump_json
from fastscnn_tf.core.foreign_text import one_line, printable


def main() -> None:
    """Reads the command line, looks at frames until they end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="picamera, 0, /dev/video0, a video, a folder of images")
    parser.add_argument("model", help="a .tflite")
    parser.add_argument("--output", type=Path, help="new folder for NAME_labels.png")
    parser.add_argument("--rotate", type=int, default=0, choices=(0, 90, 180, 270))
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--fit", default="resize", choices=("resize", "letterbox"))
    parser.add_argument("--threads", type=int, help="default: the settings', else 2")
    trust = "load and write what settings name that came with the model"
    parser.add_argument("--trust-settings", action="store_true", help=trust)
    parser.add_argument("--frames", type=int, help="end after so many")
    parser.add_argument("--timeout", type=float, default=20, help="seconds for each camera's frame")
    given = parser.parse_args()
    if given.frames is not None and given.frames < 1:
        parser.error(f"--frames must be at least 1, got {given.frames}")
    if given.output and given.output.exists():
        parser.error(f"{given.output} exists: name a new folder")
    segmenter = fs.Segmenter(given.model, given.threads, trust_settings=given.trust_settings)
    turned = {"rotate": given.rotate, "mirror": given.mirror}
    frames = fs.open_frames(given.source, **turned, timeout=given.timeout)
    if given.output:
        given.output.mkdir(parents=True)
    seen: Counter[str] = Counter()  # street.jpg and street.png have one name
    with frames:
        for count, frame in enumerate(frames, 1):
            start = time.perf_counter()
            labels = segmenter.predict(frame.image, fit=given.fit)
            seconds = {"capture": frame.seconds, "convert": frame.convert}
            seconds["segment"] = time.perf_counter() - start
            react(frame.name, labels, segmenter.labels.names, seconds)
            if given.output:
                seen[frame.name] += 1
                again = f"-{seen[frame.name]}" if seen[frame.name] > 1 else ""
                Image.fromarray(labels).save(given.output / f"{frame.name}{again}_labels.png")
            if count == given.frames:
                break


def react(name: str, labels: np.ndarray, classes: tuple[str, ...], seconds: dict) -> None:
    """Put here what your Pi shall do; this prints the classes of the lower half, and the times.

    Args:
        name: of the frame.
        labels: (H, W) uint8 class indices, upright, at the frame's size.
        classes: their names.
        seconds: that each step took.
    """
    lower = labels[len(labels) // 2 :]
    shares = np.bincount(lower.ravel(), minlength=len(classes)) / lower.size
    line = {
        "frame": name,
        "lower_half": {c: round(float(s), 3) for c, s in zip(classes, shares, strict=False) if s},
        "ms": {step: round(1000 * spent, 1) for step, spent in seconds.items()},
    }
    print(dump_json(line), flush=True)


if __name__ == "__main__":
    try:
        main()
    except fs.FastSCNNError as error:  # one line that says what to do
        print(f"segment.py: {one_line(error)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # nobody reads on, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print(f"segment.py: {printable(error.filename)}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
