"""The rival of `accuracy.py`: Ultralytics' YOLO26n-sem, trained from random weights.

Runs in an environment of its own (`requirements-accuracy-rival.txt`): Ultralytics is AGPL-3.0,
nothing of it is copied here, and nothing of this package imports it. `train ORDER.json` trains or
goes on, `export WEIGHTS` writes what OpenVINO runs, `label WEIGHTS PICTURES OUTPUT` writes a label
map of each image; without a command it predicts in turns. What it does not name is Ultralytics'
default.
"""

from __future__ import annotations

import json
import os
import sys
import time
import types
from pathlib import Path

# Before its import: no downloads, no installing, and nothing but answers on the output in turns.
os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
os.environ["YOLO_VERBOSE"] = "true" if sys.argv[1:] else "false"

import cv2

try:
    import torchvision  # noqa: F401
except RuntimeError:  # built for CUDA beside PyTorch for the CPU
    # Ultralytics imports it whatever the task; for label maps it calls nothing of it.
    sys.modules["torchvision"] = types.ModuleType("torchvision")

import ultralytics
from turns import serve, timed_pictures
from ultralytics import YOLO

NETWORK = "yolo26n-sem.yaml"


def train(order):
    """Trains from random weights on the CPU; goes on from the last epoch that is there.

    Nothing is chosen by a score: no validation, the last (averaged) weights stay. Warm-up and the
    epochs without mosaic at the end are shortened where there are few epochs.
    """
    run, epochs = Path(order["run"]), order["epochs"]
    last = run / "weights" / "last.pt"
    if last.exists():
        done = (run / "results.csv").read_text().count("\n") - 1
        if done < epochs:
            YOLO(last).train(resume=True)
        return
    YOLO(NETWORK).train(
        data=order["data"],
        epochs=epochs,
        imgsz=order["size"][0],  # of the shorter side while it trains; crops are square
        warmup_epochs=min(3, epochs / 20),
        close_mosaic=min(10, epochs // 10),
        seed=order["seed"],
        project=str(run.parent),
        name=run.name,
        exist_ok=True,
        pretrained=False,
        device="cpu",
        cache="ram",
        val=False,
        plots=False,
        verbose=False,
        **order["options"],
    )


def labeller(weights, size):
    """What makes an (H, W) uint8 label map of (H, W, 3) uint8 RGB, as its users call it."""
    model = YOLO(weights, task="semantic")

    def run(picture):
        found = model.predict(picture[..., ::-1], imgsz=size, device="cpu", verbose=False)
        return found[0].semantic_mask.data.squeeze().cpu().numpy().astype("uint8")

    return run


def label(weights, pictures, output, size):
    """Writes label maps under the images' names."""
    run = labeller(weights, size)
    Path(output).mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(pictures).glob("*.png")):
        cv2.imwrite(str(Path(output) / path.name), run(cv2.imread(str(path))[..., ::-1]))


def export(weights, size):
    """Writes the network for OpenVINO, in float, beside its weights."""
    YOLO(weights).export(format="openvino", imgsz=size, device="cpu")


def build(order):
    """The rival's predictions for `turns`."""
    start = time.perf_counter()
    run = labeller(order["file"], order["size"])
    about = {"versions": {"ultralytics": ultralytics.__version__}}
    return about | {"load_seconds": time.perf_counter() - start}, timed_pictures(run)


if __name__ == "__main__":
    command, *given = sys.argv[1:] or ["serve"]
    if command == "serve":
        serve(build)
    elif command == "train":
        train(json.loads(Path(given[0]).read_text()))
    else:
        *paths, size = given
        {"label": label, "export": export}[command](*paths, [int(n) for n in size.split("x")])
