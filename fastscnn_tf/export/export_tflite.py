"""`export_tflite`: one call from a trained model to a checked .tflite and its sidecar."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..core.aliases import StrPath
from ..core.errors import ConfigError
from ..core.files.writing import check_output, write_bytes, write_json
from ..core.keras_api import KerasModel
from ..core.sizes import Size, format_size
from ..core.version import __version__
from ..data.datasets.objects import Source
from ..delegates.device import COMPILED, DeviceSettings
from ..delegates.settings_file import KEY, settings_path, write_settings
from ..model.byte_input import STEP, centre
from ..model.folded import FoldedNetwork, on_bytes
from ..quantize.calibrate import calibrate
from ..quantize.clipping import check_method
from ..quantize.quantize_aware import is_qat, network_of
from ..tflite.file import METADATA_FORMAT, GraphSummary, graph_summary
from . import ai_edge
from . import quantization_recipes as recipes
from .converter import check_runs, convert, finish
from .converter_engine import OWN, check_engine, engine_version, kept_layers
from .export_blocks import ExportBlocks, NamedBlocks
from .mutable_graph import graph_function
from .quantization_recipes import Recipe
from .representative import images_for


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """What was written.

    Attributes:
        path: the .tflite; `<path>.json` beside it repeats its metadata.
        size_bytes: size of the file.
        graph: operation counts and float tensors.
        metadata: what travels inside the file.
    """

    path: Path
    size_bytes: int
    graph: GraphSummary
    metadata: dict[str, Any]

    def __str__(self) -> str:
        """What the command line prints."""
        ops = ", ".join(f"{number} {name}" for name, number in self.graph.ops.items())
        return (
            f"{self.path}: {self.size_bytes:,} bytes; {ops}\n"
            f"float tensors: {self.graph.float_tensors} of {self.graph.tensors}"
        )


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What kind of .tflite is wanted; the fields are described with `export_tflite`."""

    recipe: str = "float32"
    outputs: str = "logits"
    size: Size | None = None
    pad: bool = False
    input: str | None = None
    calibration_method: str = "minmax"
    engine: str = OWN
    keep_float: Sequence[str] = ()

    def checked(self) -> tuple[Recipe, str]:
        """The recipe, and the input that it will have.

        Raises:
            ConfigError: no such thing, or what the recipe or the engine cannot have.
            InputError: the engine is not installed.
        """
        rules = recipes.recipe(self.recipe)
        recipes.check_outputs(self.outputs, rules)
        input = recipes.check_input(self.input, rules)
        check_method(self.calibration_method)
        check_engine(self.engine, rules, self.keep_float, self.calibration_method)
        return rules, input


def export_tflite(
    model: KerasModel,
    path: StrPath,
    recipe: str = "float32",
    outputs: str = "logits",
    size: Size | None = None,
    calibration: Source | None = None,
    force: bool = False,
    pad: bool = False,
    input: str | None = None,
    calibration_method: str = "minmax",
    settings: DeviceSettings | None = None,
    about: Mapping[str, Any] | None = None,
    engine: str = OWN,
    keep_float: Sequence[str] = (),
    options: ExportOptions | None = None,
) -> ExportResult:
    """Writes a .tflite with raw uint8 RGB input and normalisation inside, and a JSON sidecar.

    Args:
        model: what `fast_scnn`, `quantize_aware` or `load_model` returned.
        path: the .tflite to write.
        recipe: `float32`, `float16`, `dynamic` (int8 weights, float activations), `int8`
            (post-training, needs `calibration`), `int8-qat` (needs a quantization-aware model) or
            `int16x8` (int8 weights, int16 activations; needs `calibration`).
        outputs: `logits` at 1/8, `logits-full` at input size, `prob` (softmax of these; the
            paper's "prob"), `labels` (uint8 class indices; the paper's "cls") or `labels-8` (the
            same at 1/8). The converter has no label maps for int16x8.
        size: (height, width) of the input; the model's own by default.
        calibration: anything with images: what `load_dataset` or `open_dataset` returned, arrays,
            a list of paths, a data set of another library (see
            `data.datasets.objects.as_dataset`); label maps do not count, the first 200 images do.
        force: replace an existing file.
        pad: take a `size` that is not a multiple of 32; the padding is inside the graph and cut off
            the result (of `logits` at 1/8 by the runtime).
        input: `uint8` raw bytes, the default but for int16x8; `int8`, which is bytes ^ 0x80 and
            saves an operation (int8 recipes); `float32`, images normalised by the caller with the
            metadata's mean and std (for int8 recipes these put bytes on its grid), the default of
            int16x8; or `int16`, these divided by the input's scale (int16x8).
        calibration_method: how recipe `int8` sets its ranges: `minmax`, `percentile` or `mse`
            (see `quantize.calibrate`).
        settings: travel inside the file and in `<path>.settings.json` beside it. Those of an NPU
            (`device`) have its resizes written in operations that it has (see `npu_resizes`).
        about: `name`, `description`, `version`, `author`, `license` and `run` (see
            `about_model`): into the metadata.
        engine: what makes recipe `int8`: `own`, this project's calibration and TensorFlow's
            converter, or `ai-edge-quantizer` (extra `quantizer`).
        keep_float: layers that stay in float, by name or by regular expressions of whole names
            (`converter_engine.kept_layers`); engine `ai-edge-quantizer` only.
        options: recipe, outputs, size, pad, input, calibration method, engine and the layers in
            float as a group, which takes the place of these arguments.

    Raises:
        ConfigError: unknown recipe, output, input, calibration method, engine or layer, or what
            the recipe, engine or model cannot have.
        InputError: the engine is not installed.
        DataError: a calibration image cannot be used, or there is none.
        OutputError: the file exists or cannot be written.
        ModelFileError: weights or activations are NaN or infinite.
        ExportError: the graph is not what the recipe promises, or the interpreter refuses it;
            nothing is written.
    """
    wanted = options or ExportOptions(
        recipe, outputs, size, pad, input, calibration_method, engine, keep_float
    )
    rules, input = wanted.checked()
    target = check_target(path, force)
    network = network_for(model, rules, wanted, calibration)
    device = (settings.device if settings else None) or ""
    images = () if calibration is None else calibration
    if wanted.engine == OWN:
        made = _converted(network, rules, wanted, input, images, device)
    else:
        made = _quantized(network, wanted, input, images)
    metadata = file_metadata(model, made.network, rules, wanted.outputs, input, about) | made.more
    if settings is not None:
        metadata[KEY] = settings.to_dict()
    raw_float = input == "uint8" and not rules.quantized
    zero = int(centre(network.config)) if raw_float else None
    content = finish(made.content, metadata, zero, device)
    summary = graph_summary(content)
    recipes.check_graph(summary, rules, wanted.outputs, input, mixed=bool(wanted.keep_float))
    if wanted.keep_float:
        ai_edge.check_floats(content, made.floats)
    check_runs(target, content)
    result = ExportResult(target, len(content), summary, metadata)
    _write(result, content, settings)
    return result


def check_target(path: StrPath, force: bool = False) -> Path:
    """What `export_tflite` refuses of the file to write, without a look at the model.

    Raises:
        ConfigError: another suffix.
        OutputError: it or one that lies beside it exists or cannot be written.
    """
    target = check_output(path, force, suffix=".tflite")
    for beside in (_sidecar(target), settings_path(target)):
        check_output(beside, force)
    return target


def _sidecar(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")


def network_for(
    model: KerasModel, rules: Recipe, wanted: ExportOptions, calibration: Source | None
) -> FoldedNetwork:
    """The folded network of the wanted size; what the recipe lacks is refused."""
    if is_qat(model) != (rules.name == "int8-qat"):
        raise ConfigError(
            f"a quantization-aware model exports as int8-qat, not {rules.name}"
            if is_qat(model)
            else "recipe int8-qat needs a quantization-aware model: run quantize first, or use "
            "recipe int8"
        )
    network = network_of(model, wanted.size, wanted.pad)
    if rules.needs_calibration and calibration is None:
        raise ConfigError(
            f"recipe {rules.name} needs calibration images: pass calibration=images, such as "
            'fs.load_dataset(..., split="train") (--dataset and --data-dir)'
        )
    return network


class _EngineResult(NamedTuple):
    """What an engine made: the network with its ranges, the file, and more to say of it."""

    network: FoldedNetwork
    content: bytes
    more: dict[str, Any]
    floats: frozenset[str] = frozenset()


def _converted(
    network: FoldedNetwork,
    rules: Recipe,
    wanted: ExportOptions,
    input: str,
    calibration: Source,
    device: str,
) -> _EngineResult:
    """By TensorFlow's converter, with the ranges that the recipe asks for."""
    if rules.needs_calibration and rules.activations == "int8":
        network = calibrate(network, calibration, method=wanted.calibration_method)
    wide = rules.activations == "int16"  # the converter makes it of a float graph and of images
    blocks = NamedBlocks if device in COMPILED else ExportBlocks  # names for estimates by stage
    given = "float32" if wide else input
    function = graph_function(network, wanted.outputs, given, blocks)
    images = images_for(network.config, calibration) if wide else None
    return _EngineResult(network, convert(function, rules, wanted.outputs, input, images), {})


def _quantized(
    network: FoldedNetwork, wanted: ExportOptions, input: str, calibration: Source
) -> _EngineResult:
    """By ai-edge-quantizer."""
    layers = kept_layers(network.config, wanted.keep_float)
    content, floats = ai_edge.quantize_file(network, wanted.outputs, input, calibration, layers)
    more = {"engine": engine_version(), "float_layers": list(layers)}
    return _EngineResult(on_bytes(network), content, more, floats)


def _write(result: ExportResult, content: bytes, settings: DeviceSettings | None) -> None:
    write_bytes(result.path, content)
    digest = hashlib.sha256(content).hexdigest()
    beside = {**result.metadata, "sha256": digest, "ops": result.graph.ops}
    write_json(_sidecar(result.path), beside)
    settings_path(result.path).unlink(missing_ok=True)  # those of the file that was replaced
    if settings is not None:
        write_settings(result.path, settings, digest)


def file_metadata(
    model: KerasModel,
    network: FoldedNetwork,
    rules: Recipe,
    outputs: str,
    input: str,
    about: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What our JSON inside a file says: how it is fed and read, and what it is `about`."""
    config = network.config
    space, mean, std = config.labels, config.mean, config.std
    if network.takes_bytes and input == "float32":  # what brings images onto the grid of bytes
        mean, std = (centre(config),) * 3, (1.0 / STEP,) * 3
    licence = getattr(model, "licence", None)
    return {
        "format": METADATA_FORMAT,
        "producer": f"fastscnn_tf {__version__}",
        "recipe": rules.name,
        "outputs": outputs,
        "input_size": format_size(config.input_size),
        "input": recipes.INPUTS[input],
        "mean": list(mean),
        "std": list(std),
        "class_names": list(space.names),
        "class_colors": [list(color) for color in space.colors],
        "config": config.to_dict(),
        **({"license": licence} if licence else {}),
        **(about or {}),
    }
