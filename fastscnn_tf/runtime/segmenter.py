"""`Segmenter`: a .tflite file as a function from images to label maps."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.console import quiet_stderr
from ..core.errors import ConfigError, DataError, ModelFileError
from ..core.foreign_text import printable
from ..core.images.interpolation import sampling_of
from ..core.labels import MAX_CLASSES
from ..core.named_weights import KERAS, TFLITE, has_checkpoint, named_weights, no_such_model
from ..core.sizes import Size
from ..delegates.device import DeviceSettings
from ..tflite.file import own_metadata, read_model
from ..tflite.graph import Graph
from ..tflite.own_metadata import label_space
from . import native
from .engine import Plan, plan_engine
from .image_model import ImageModel
from .postprocess import LogitsFrame
from .trial import ensure_tried, refused, trusted_here


class Segmenter(ImageModel):
    """Runs a segmentation .tflite through the LiteRT interpreter; imports no TensorFlow.

    Threads may share one: they take turns at the interpreter.

    Args:
        path: the .tflite file, or the name of weights that come with the package (`camvid`); one
            image in (1, H, W, 3), logits (1, h, w, classes) or a label map (1, h, w) out.
        threads: CPU threads; by default those of the settings, else 2.
        settings: what to run it with, or a settings file of this very model; by default what lies
            beside it (`<file>.settings.json`) or, if nothing does, came inside it.
        trusted: run the file at once. Otherwise one that this machine has not run before, with
            these settings, is first run once in a process of its own, where it may crash (see
            `trial`); FASTSCNN_TRUSTED=1 in the environment trusts all files.
        trust_settings: paths that stand there count, so that the file's maker may choose which
            libraries are loaded and where is written. Without it they are left out and named
            unless they were given on this machine (see `delegates.trust`).

    Attributes:
        settings: the settings in use, their paths absolute.
        threads: CPU threads in use.
        trial_seconds: what trying the file out took; 0 for one that the machine knows.
        notes: settings that this runtime cannot apply, one line each; they are logged, too.
        input_size: (height, width) the network works at.
        labels: names and colours of the classes.
        outputs: `logits`, `logits-full`, `prob`, `labels` or `labels-8`.
        frame: how its output lies over the input.

    Raises:
        ModelFileError: the file is missing, damaged, or no segmentation model, or crashed when it
            was tried.
        ConfigError: a Keras model instead of a file; or the settings are another model's, not
            valid, or cannot run here.

    Example:
        labels = Segmenter("model.tflite").predict("street.jpg")
    """

    def __init__(
        self,
        path: StrPath,
        threads: int | None = None,
        settings: DeviceSettings | StrPath | None = None,
        trusted: bool = False,
        trust_settings: bool = False,
    ):
        self.path = path = _tflite(path)
        content, graphs = read_model(path)
        self.metadata = own_metadata(graphs)
        plan = plan_engine(self.path, content, self.metadata, threads, settings, trust_settings)
        self.settings, self.threads, self.notes = plan.settings, plan.threads, plan.notes
        logger = logging.getLogger("fastscnn_tf")
        for note in plan.notes:
            logger.warning("%s: %s", printable(path), printable(note))
        if plan.remark:
            logger.info("%s: %s", printable(path), printable(plan.remark))
        _check_ports(self.path, graphs.main)
        known = trusted or trusted_here()
        self.trial_seconds = 0.0 if known else ensure_tried(self.path, content, graphs.main, plan)
        if plan.compiled:
            from .compiled import CompiledInterpreter

            self._interpreter: Any = CompiledInterpreter(self.path, content, plan)
        else:
            self._interpreter = _open_interpreter(self.path, content, plan)
        self._turn = threading.Lock()
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()
        shape, result = (tuple(map(int, x["shape"])) for x in (self._input, self._output))
        if shape[0] != 1 or len(result) not in (3, 4):
            raise _no_segmentation(self.path, shape, result)
        if len(result) == 4 and result[3] > MAX_CLASSES:
            raise ModelFileError(
                f"{path}: {result[3]} output channels, but a label map has room for at most "
                f"{MAX_CLASSES} classes"
            )
        self.input_size: Size = (shape[1], shape[2])
        self.labels = label_space(self.metadata, result[3] if len(result) == 4 else 255)
        places = self.metadata.get("config", {})
        names = (places.get(field, ()) for field in ("align_corners", "nearest"))
        self.frame = LogitsFrame.of(self.input_size, sampling_of("logits", *names))
        full = result[1:3] == self.input_size
        kind = "labels" if len(result) == 3 else "logits-full" if full else "logits"
        self.outputs: str = self.metadata.get("outputs", kind)

    def _what(self) -> str:
        return self.path.name

    @property
    def mean_color(self) -> tuple[float, ...]:
        """The RGB colour, 0..255, that the model takes as zero."""
        return tuple(self.metadata.get("mean", (128.0,) * 3))

    @property
    def logit_scale(self) -> float:
        """What one step of the raw output is worth; 1 for float outputs."""
        return float(self._output["quantization"][0]) or 1.0

    def run(self, image: np.ndarray) -> np.ndarray:
        """The raw output for one image that already has the input size.

        Args:
            image: `input_size` + (3,) uint8 RGB.

        Returns:
            (h, w, classes) logits in the file's own dtype, or (h, w) labels.

        Raises:
            DataError: an image of another size.
        """
        if image.shape != (*self.input_size, 3):
            raise DataError(f"expected an image of {(*self.input_size, 3)}, got {image.shape}")
        with self._turn:
            self._put(image)
            self._interpreter.invoke()
            return self._interpreter.get_tensor(self._output["index"])[0]

    def _put(self, image: np.ndarray) -> None:
        """Writes an image into the input as the file wants it."""
        index, dtype = self._input["index"], self._input["dtype"]
        if dtype == np.int8:  # straight into the interpreter's memory: one pass, no copy
            target = self._interpreter.tensor(index)()[0].view(np.uint8)
            np.bitwise_xor(image, np.uint8(0x80), out=target)
        else:
            values = image if dtype == np.uint8 else self._normalised(image, dtype)
            self._interpreter.set_tensor(index, values[None])

    def _normalised(self, image: np.ndarray, dtype: type) -> np.ndarray:
        mean = np.asarray(self.mean_color, np.float32)
        std = np.asarray(self.metadata.get("std", (128.0,) * 3), np.float32)
        values = (image - mean) / std
        if dtype == np.int16:
            values = np.clip(np.rint(values / self._input["quantization"][0]), -32768, 32767)
        return values.astype(dtype)


def _tflite(path: StrPath) -> Path:
    """The file to run.

    Raises:
        ConfigError: a Keras model, in memory or as a file.
    """
    got = type(path).__name__
    if isinstance(path, str | os.PathLike):
        found, got = named_weights(path, TFLITE), str(path)
        if not found.exists():
            raise no_such_model(found)
        if found.suffix != KERAS and not has_checkpoint(found):
            return found
    raise ConfigError(
        f"expected the path of a .tflite, got {got}: a Keras model is converted by "
        "fs.export_tflite, or run by fs.load_predictor, which predicts alike"
    )


def _open_interpreter(path: Path, content: bytes, plan: Plan) -> Any:
    try:
        with quiet_stderr():
            return native.interpreter(content, plan.threads, plan.options)
    except native.REFUSALS as error:
        raise refused(path, error) from None


def _check_ports(path: Path, graph: Graph) -> None:
    """Refuses what is not a segmentation model by what the file says, before anything runs it."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ModelFileError(
            f"{path}: expected one input and one output, got {len(graph.inputs)} and "
            f"{len(graph.outputs)}"
        )
    shape, result = (graph.tensors[i].shape for i in (graph.inputs[0], graph.outputs[0]))
    if len(shape) != 4 or shape[0] not in (1, -1) or shape[3] != 3 or min(shape[1:3]) < 1:
        raise _no_segmentation(path, shape, result)


def _no_segmentation(path: Path, shape: Sequence[int], result: Sequence[int]) -> Exception:
    return ModelFileError(
        f"{path}: expected an image (1, H, W, 3) of fixed size in and logits or labels out, got "
        f"{tuple(shape)} and {tuple(result)}"
    )
