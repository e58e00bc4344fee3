"""A Keras model as a predictor, scored by the same code as a .tflite."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.keras_api import KerasModel, is_keras3, keras3, on_tensorflow, tensorflow, tf_keras
from ..core.sizes import Size
from ..model.fast_scnn import logits_layer, require_fast_scnn
from ..model.ranges import LOGITS
from ..runtime.image_model import ImageModel
from ..runtime.postprocess import LogitsFrame

FULL = "logits"
_made: weakref.WeakKeyDictionary[KerasModel, dict[bool, KerasPredictor]] = (
    weakref.WeakKeyDictionary()
)


class KerasPredictor(ImageModel):
    """Runs a Keras 3 or quantization-aware model on one image.

    Args:
        model: what `fast_scnn`, `quantize_aware` or `load_model` returned.
        full: take the full-resolution logits of a graph that upsamples them itself (one with
            `logits-full` or `labels` output), instead of those at 1/8.

    Attributes:
        input_size: (height, width) of its input.
        frame: how its logits lie over the input.

    Raises:
        ConfigError: another kind of model.
    """

    def __init__(self, model: KerasModel, full: bool = False):
        self.config: FastSCNNConfig = require_fast_scnn(model)
        self.input_size: Size = self.config.input_size
        self.labels = self.config.labels
        self.frame = LogitsFrame.of(self.input_size, self.config.sampling("logits"))
        blocks: Any = getattr(model, "blocks", None)  # of a quantization-aware model
        keras = tf_keras() if blocks else keras3()
        # Logits at 1/8: the runtime upsamples them as the graph would.
        name = FULL if full else logits_layer(self.config)
        name = f"quant_{LOGITS}" if blocks else name
        head = keras.Model(model.inputs, model.get_layer(name).output)
        self._step = blocks.logits_step if blocks else None

        def run(image: Any) -> Any:
            logits = head([image] if is_keras3(keras) else image, training=False)
            rounded = full and blocks
            return blocks.upsample_rounded(logits) if rounded else logits

        def step(image: Any) -> Any:
            """Keras' own: compiled on JAX, without gradients on PyTorch."""
            return head.predict_on_batch([image])

        self._run = tensorflow().function(run, autograph=False) if on_tensorflow(keras) else step

    def _what(self) -> str:
        return "a quantization-aware model" if self._step else "a Keras model"

    @property
    def mean_color(self) -> tuple[float, ...]:
        """The RGB colour, 0..255, that the model takes as zero."""
        return tuple(self.config.mean)

    @property
    def logit_scale(self) -> float:
        """What 1 in the output of `run` is worth."""
        return float(self._step()) if self._step else 1.0

    def run(self, image: np.ndarray) -> np.ndarray:
        """Logits (h, w, classes) float32 of an `input_size` uint8 RGB image.

        Those of a quantization-aware model come as the integers of the int8 graph, so that ties
        between classes stay ties when they are interpolated.
        """
        logits = np.asarray(self._run(self.config.normalised(image)[None]))[0]
        return np.rint(logits / self._step()) if self._step else logits


def predictor_of(model: KerasModel, full: bool = False) -> KerasPredictor:
    """The predictor of a model, made once: TensorFlow traces it for seconds.

    It shares the model's variables, so it follows them when the model is trained on.

    Args:
        model, full: as for `KerasPredictor`.

    Raises:
        ConfigError: another kind of model.
    """
    config, made = require_fast_scnn(model), _made.setdefault(model, {})
    if full not in made or made[full].config is not config:
        made[full] = KerasPredictor(model, full)
    return made[full]
