"""The fastest PNG decoding at hand behind `core.images.image_file`, for training and scoring.

PNG is lossless: every decoder gives the same pixels. Of Pillow's time for a CamVid image
kornia-rs takes 0.4, TensorFlow 0.7, OpenCV 0.9. kornia-rs holds Python's lock all the while and
TensorFlow does not: on few cores kornia-rs decodes, on many TensorFlow.
Plain files only go there; Pillow keeps all others, and says what is wrong with those that fail.
"""

import functools
import importlib
import os
import struct
from typing import Any

import numpy as np

from ..core.images.plain_png import use_png_decoder
from ..core.keras_api import tensorflow

FEW_CORES = 4  # from here on Python's lock costs more than kornia-rs saves


def many_cores() -> bool:
    """Whether threads lose more by waiting for kornia-rs than it saves."""
    return (os.cpu_count() or 1) > FEW_CORES


def use_fast_png(with_tensorflow: bool) -> None:
    """Makes `read_image` and `read_label` use the fastest decoding from now on.

    Args:
        with_tensorflow: TensorFlow's decoder may be taken.
    """
    if _kornia() and not (with_tensorflow and many_cores()):
        use_png_decoder(by_kornia)
    elif with_tensorflow:
        use_png_decoder(by_tensorflow)


@functools.cache
def _kornia() -> Any:
    """kornia-rs' `decode_image_png_u8`, or None."""
    try:
        return importlib.import_module("kornia_rs.io").decode_image_png_u8
    except (ImportError, AttributeError):  # not installed, or another version
        return None


def by_kornia(content: bytes, channels: int) -> np.ndarray | None:
    width, height = struct.unpack_from(">II", content, 16)
    try:
        return _kornia()(content, (height, width), "rgb" if channels == 3 else "mono")
    except Exception:  # it raises nothing narrower
        return None


def by_tensorflow(content: bytes, channels: int) -> np.ndarray | None:
    tf = tensorflow()
    try:
        with tf.device("CPU"):
            return tf.raw_ops.DecodePng(contents=content, channels=channels).numpy()
    except tf.errors.InvalidArgumentError:
        return None
