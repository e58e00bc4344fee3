"""Runs MediaPipe's ImageSegmenter: `python run_mediapipe.py M.tflite IMAGE.npy MASK.npy`.

Stands by itself: MediaPipe's environment has nothing else. Prints the labels as JSON.
"""

import json
import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

model, image, mask = sys.argv[1:]
options = vision.ImageSegmenterOptions(
    base_options=BaseOptions(model_asset_path=model),
    output_category_mask=True,
    output_confidence_masks=True,
)
with vision.ImageSegmenter.create_from_options(options) as segmenter:
    pixels = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.load(image))
    result = segmenter.segment(pixels)
    np.save(mask, np.squeeze(result.category_mask.numpy_view()))
    sums = sum(np.squeeze(m.numpy_view()).astype(np.float64) for m in result.confidence_masks)
    print(json.dumps({"labels": list(segmenter.labels), "sums": [sums.min(), sums.max()]}))
