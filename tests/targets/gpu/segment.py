"""Label maps by `Segmenter` on the GPU alone: `python segment.py M.tflite MAPS.npz PICTURE ...`.

Also its raw output for the first picture, as `raw`.
"""

import os
import sys
from pathlib import Path

import numpy as np

from fastscnn_tf import DeviceSettings, Segmenter
from fastscnn_tf.core.images.image_file import read_image
from fastscnn_tf.delegates.gpu import GpuSettings
from fastscnn_tf.runtime.fit import fitted

SETTINGS = DeviceSettings(
    accelerator="gpu",
    api="compiled_model",
    cpu_fallback=False,
    gpu=GpuSettings(precision_loss_allowed=False),
)

if __name__ == "__main__":
    model, target, *pictures = sys.argv[1:]
    segmenter = Segmenter(model, settings=SETTINGS)
    assert segmenter.notes == ()
    maps = {Path(path).stem: segmenter.predict(path) for path in pictures}
    first = fitted(read_image(pictures[0]), segmenter.input_size, "resize", segmenter.mean_color)
    np.savez(target, raw=segmenter.run(first.image), **maps)
    os._exit(0)  # the driver's own end may crash
