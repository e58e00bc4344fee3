"""Runs MediaPipe's ImageSegmenter: `python segment.py IMAGE.npy MASKS_FOLDER M.tflite ...`.

Stands by itself: MediaPipe's environment has nothing else. Prints a line of JSON for each file: its
labels and the range of its confidences' sums, or the error; the mask goes to MASKS_FOLDER/M.npy.
"""

import json
import sys
from pathlib import Path

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def segment(model, pixels, target):
    """What is printed about one file."""
    options = vision.ImageSegmenterOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        output_category_mask=True,
        output_confidence_masks=True,
    )
    try:
        with vision.ImageSegmenter.create_from_options(options) as segmenter:
            result = segmenter.segment(pixels)
            labels = list(segmenter.labels)
    except (RuntimeError, ValueError) as error:
        return {"error": str(error).splitlines()[0]}
    np.save(target, np.squeeze(result.category_mask.numpy_view()))
    sums = sum(np.squeeze(m.numpy_view()).astype(np.float64) for m in result.confidence_masks)
    return {"labels": labels, "sums": [float(sums.min()), float(sums.max())]}


image, folder, *models = sys.argv[1:]
pixels = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.load(image))
for path in map(Path, models):
    found = segment(path, pixels, Path(folder) / f"{path.stem}.npy")
    print(json.dumps({"model": path.stem, **found}), flush=True)
