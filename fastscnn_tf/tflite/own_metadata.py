"""What our JSON inside a .tflite may say, and whether the graph agrees with it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from ..core.about_schema import About, Text
from ..core.files.json_text import explain
from ..core.labels import MAX_CLASSES, Color, LabelSpace
from ..core.sizes import format_size
from .flatbuffer_reader import DamagedFile
from .graph import Graph

# In units of 0..255; beyond these bounds float32 overflows.
Mean = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
Std = Annotated[float, msgspec.Meta(ge=1e-6, le=1e6)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _ResizeConfig(msgspec.Struct, frozen=True):
    align_corners: tuple[str, ...] = ()
    nearest: tuple[str, ...] = ()


class OwnMetadata(About):
    """The keys that this package reads; files of newer versions may have more."""

    producer: Text = ""
    recipe: Text = ""
    input: Text = ""
    outputs: Literal["logits", "logits-full", "prob", "labels", "labels-8"] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    input_size: str | msgspec.UnsetType = msgspec.UNSET
    mean: tuple[Mean, Mean, Mean] = (128.0,) * 3
    std: tuple[Std, Std, Std] = (128.0,) * 3
    class_names: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_CLASSES)] = ()
    class_colors: tuple[Color, ...] = ()
    config: _ResizeConfig = _ResizeConfig()
    settings: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    engine: Text = ""
    float_layers: tuple[Text, ...] = ()


def check_metadata(values: dict[str, Any], graph: Graph) -> None:
    """Makes sure that our metadata is of the declared types and fits the graph.

    Raises:
        DamagedFile: naming the field that is not, or does not.
    """
    try:
        found = msgspec.convert(values, OwnMetadata)
    except (msgspec.ValidationError, RecursionError, OverflowError) as failure:
        raise DamagedFile(explain(failure)) from None
    names, colors = found.class_names, found.class_colors
    if len(set(names)) < len(names):
        raise DamagedFile("class_names: two classes of one name")
    if names and colors and len(colors) != len(names):
        raise DamagedFile(f"class_colors: {len(colors)} colours of {len(names)} class names")
    if len(graph.inputs) == 1 and len(graph.outputs) == 1:
        _check_shapes(found, *(graph.tensors[i[0]].shape for i in (graph.inputs, graph.outputs)))


def label_space(metadata: dict[str, Any], channels: int) -> LabelSpace:
    """The classes that our metadata names, or numbered ones; colours that are left out are made up.

    Args:
        metadata: checked, or empty for files from elsewhere.
        channels: classes where none are named.
    """
    names = tuple(metadata.get("class_names", ()))
    if not names:
        return LabelSpace.make("model", channels)
    colors = tuple((r, g, b) for r, g, b in metadata.get("class_colors", ()))
    return LabelSpace.make(str(metadata.get("name", "model")), len(names), names, colors)


def _check_shapes(found: OwnMetadata, image: tuple[int, ...], result: tuple[int, ...]) -> None:
    size = format_size((image[1], image[2])) if len(image) == 4 and -1 not in image[1:3] else ""
    if size and isinstance(found.input_size, str) and found.input_size != size:
        raise DamagedFile(f"input_size: {found.input_size[:20]!r}, but the graph takes {size}")
    labels = isinstance(found.outputs, str) and found.outputs.startswith("labels")
    if found.outputs and len(result) in (3, 4) and labels != (len(result) == 3):
        raise DamagedFile(f"outputs: {found.outputs!r}, but the graph gives {result}")
    if len(result) == 4 and found.class_names and result[3] not in (-1, len(found.class_names)):
        raise DamagedFile(
            f"class_names: {len(found.class_names)} names, but the graph gives {result[3]} channels"
        )
