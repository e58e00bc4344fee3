"""`Segmenter`: a .tflite or .onnx file as a function from images to label maps."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ..core.aliases import StrPath
from ..core.class_maps import NAMELESS
from ..core.console import LOG, quiet_stderr
from ..core.errors import ConfigError, DataError, ModelFileError
from ..core.foreign_text import printable
from ..core.images.interpolation import sampling_of
from ..core.named_weights import KERAS, ONNX, TFLITE, has_checkpoint, named_weights, no_such_model
from ..delegates.device import DeviceSettings
from ..tflite.file import own_metadata, read_model
from ..tflite.foreign_options import ForeignOptions
from ..tflite.foreign_output import no_segmentation
from ..tflite.graph import Graph
from ..tflite.own_metadata import label_space
from ..tflite.ports import ports_of
from . import native
from .engine import Plan, plan_engine
from .image_model import ImageModel
from .onnx_reader import read_onnx
from .open_sizes import with_sizes
from .other_runtime import MICRO, OtherInterpreter, choose_runtime, order_for
from .postprocess import LogitsFrame
from .trial import ensure_tried, refused, trusted_here


class Segmenter(ImageModel):
    """Runs a segmentation .tflite or .onnx on the CPU's runtimes; imports no TensorFlow.

    Threads may share one: they take turns at the interpreter.

    Args:
        path: the .tflite or .onnx file, or the name of weights that come with the package
            (`camvid`); one image in (1, H, W, 3), logits (1, h, w, classes) or a label map
            (1, h, w) out. One from elsewhere may have planes (1, 3, H, W) and (1, classes, h, w),
            probabilities, a single channel, which is read as background and foreground, or several
            outputs.
        threads: CPU threads; by default those of the settings, else 2.
        settings: what to run it with, or a settings file of this very model; by default what lies
            beside it (`<file>.settings.json`) or, if nothing does, came inside it.
        trusted: run the file at once. Otherwise one that this machine has not run before, with
            these settings, is first run once in a process of its own, where it may crash (see
            `trial`); FASTSCNN_TRUSTED=1 in the environment trusts all files.
        trust_settings: paths that stand there count, so that the file's maker may choose which
            libraries are loaded and where is written. Without it they are left out and named
            unless they were given on this machine (see `delegates.trust`).
        foreign: what a file from elsewhere may leave open; one of this package says it itself.
            `mean` and `std`, a number or three in 0..255: the network was trained on
            (x - mean) / std; `scale`, such as 255, where these are of x / scale, or by itself;
            `output_tensor`: name of the output, where several might segment; `threshold`, 0.5 by
            default: of a single channel's probability, above which it is the foreground.

    Attributes:
        ports: how the file is fed and read; `ports.told` says of a file from elsewhere, in one
            line that is logged, too, what was told by what.
        runtime: the one in use: `litert`, `tflite_micro`, `onnxruntime` or `openvino`.
        settings: the settings in use, their paths absolute.
        threads: CPU threads in use.
        trial_seconds: what trying the file out took; 0 for one that the machine knows.
        notes: settings that this runtime cannot apply, one line each; they are logged, too.
        input_size: (height, width) the network works at.
        labels: names and colours of the classes.
        outputs: `logits`, `logits-full`, `prob`, `labels` or `labels-8`.
        frame: how its output lies over the input.

    Raises:
        ModelFileError: the file is missing, damaged, or no segmentation model, was compiled for
            other hardware, or crashed when it was tried.
        ConfigError: a Keras model instead of a file; or the settings are another model's, not
            valid, or cannot run here; or nothing says how a file from elsewhere is normalised or
            which of its outputs segments, or what is given contradicts it; or that runtime does
            not take the file.
        InputError: the runtime is not installed.

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
        runtime: str | None = None,
        **foreign: Unpack[ForeignOptions],
    ):
        self.path = path = model_file(path)
        self.runtime = choose_runtime(path, runtime)
        known = trusted or trusted_here()
        self.trial_seconds = 0.0
        if path.suffix == ONNX:
            content, graphs = read_onnx(path)
            graphs, self.trial_seconds = with_sizes(path, content, graphs, self.runtime, known)
        else:
            content, graphs = read_model(path)
        self.metadata = own_metadata(graphs)
        self.ports = ports_of(path, content, graphs, self.metadata, foreign)
        order = order_for(path, self.runtime, graphs.main, self.ports.place)
        given = threads, settings, trust_settings, order, graphs.main
        plan = plan_engine(path, content, self.metadata, *given)
        self.settings, self.threads, self.notes = plan.settings, plan.threads, plan.notes
        if "micro" in plan.options:
            self.runtime = MICRO
        if plan.compiled and len(graphs.main.outputs) > 1:
            raise ConfigError(f"{path}: several outputs need api=interpreter, not compiled_model")
        for note in plan.notes:
            LOG.warning("%s: %s", printable(path), printable(note))
        if plan.remark:
            LOG.info("%s: %s", printable(path), printable(plan.remark))
        if self.ports.told:
            LOG.warning("%s: %s", printable(path), self.ports.told)
        if not known:
            self.trial_seconds += ensure_tried(self.path, content, graphs.main, plan)
        if plan.order:
            self._interpreter: Any = _open_other(path, content, graphs.main, plan)
        elif plan.compiled:
            from .compiled import CompiledInterpreter

            self._interpreter = CompiledInterpreter(path, content, graphs.main, plan)
        else:
            self._interpreter = _open_interpreter(self.path, content, plan)
        self._turn = threading.Lock()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[self.ports.place]
        _check_shapes(self.path, graphs.main, self.ports.place, self._input, self._output)
        self.input_size = self.ports.size
        named = self.metadata or {"class_names": self.ports.names}
        self.labels = label_space(named, self.ports.classes or NAMELESS)
        places = self.metadata.get("config", {})
        names = (places.get(field, ()) for field in ("align_corners", "nearest"))
        padding = LogitsFrame.of(self.input_size, sampling_of("logits", *names))
        self.frame = padding if self.ports.own else LogitsFrame(self.input_size, self.input_size)
        self.outputs = self.ports.outputs

    def _what(self) -> str:
        return self.path.name

    @property
    def kernels(self) -> str:
        """The CPU kernels that its settings name, such as `micro`; or ""."""
        return (self.settings.cpu and self.settings.cpu.kernel_mode) or ""

    @property
    def mean_color(self) -> tuple[float, ...]:
        """The RGB colour, 0..255, that the model takes as zero."""
        return self.ports.fed.mean

    @property
    def logit_scale(self) -> float:
        """What one step of the output is worth; 1 for floats."""
        return 1.0 if self.ports.scale else float(self._output["quantization"][0]) or 1.0

    @property
    def offset(self) -> float:
        """What the first class is ahead by, for a threshold other than 0.5."""
        return self.ports.offset

    def run(self, image: np.ndarray) -> np.ndarray:
        """The raw output for one image that already has the input size.

        Args:
            image: `input_size` + (3,) uint8 RGB.

        Returns:
            (h, w, classes) logits in the file's own dtype, or (h, w) labels. Of files from
            elsewhere float32 real values of probabilities and of the two classes that are made of
            one channel, and uint8 labels.

        Raises:
            DataError: an image of another size.
            ModelFileError: a label of a file from elsewhere is not a class index.
        """
        if image.shape != (*self.input_size, 3):
            raise DataError(f"expected an image of {(*self.input_size, 3)}, got {image.shape}")
        with self._turn:
            self._put(image)
            self._interpreter.invoke()
            return self.ports.read(self._interpreter.get_tensor(self._output["index"]))

    def _put(self, image: np.ndarray) -> None:
        """Writes an image into the input as the file wants it."""
        index, dtype = self._input["index"], np.dtype(self._input["dtype"])
        if dtype.kind == "f":
            values = self.ports.normalised(image).astype(dtype, copy=False)
            self._interpreter.set_tensor(index, values)
        else:  # straight into the interpreter's memory
            self.ports.put(image, self._interpreter.tensor(index)())


def model_file(path: StrPath) -> Path:
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
        f"expected the path of a .tflite or .onnx, got {got}: a Keras model is converted by "
        "fs.export_tflite, or run by fs.load_predictor, which predicts alike"
    )


def _open_interpreter(path: Path, content: bytes, plan: Plan) -> Any:
    try:
        with quiet_stderr():
            return native.interpreter(content, plan.threads, plan.options)
    except native.REFUSALS as error:
        raise refused(path, error) from None


def _open_other(path: Path, content: bytes, graph: Graph, plan: Plan) -> Any:
    assert plan.order is not None
    try:
        return OtherInterpreter(path, content, graph, plan.order)
    except ModelFileError:
        raise
    except Exception as error:  # each runtime has classes of its own
        raise refused(path, error) from None


def _check_shapes(
    path: Path, graph: Graph, place: int, image: dict[str, Any], result: dict[str, Any]
) -> None:
    """Refuses a file whose shapes are others when it runs than those that it was judged by."""
    for index, port in ((graph.inputs[0], image), (graph.outputs[place], result)):
        shape = tuple(1 if side < 0 else side for side in graph.tensors[index].shape)
        if tuple(port["shape"]) != shape:
            raise no_segmentation(path, graph)
