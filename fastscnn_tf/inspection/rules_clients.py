"""What programs that load a whole file ask of it: LiteRT.js in the browser, MediaPipe's task."""

from __future__ import annotations

import dataclasses

from ..core.errors import retold
from ..tflite.embedded_metadata import NAME, metadata_of, normalisations
from ..tflite.flat_tables import SchemaTable
from ..tflite.flatbuffer_reader import DamagedFile
from ..tflite.graph import Graph, ModelGraphs, Tensor

LITERTJS_TYPES = ("float32", "int32", "uint8")
LITERTJS_SOURCE = "npm @litertjs/core 2.5.3, dist/index.d.ts; later sources list int8, too"
LITERTJS_SHAPES = "ai.google.dev/edge/litert/web/get_started"
MEDIAPIPE_INPUT = "mediapipe/tasks/cc/vision/utils/image_tensor_specs.cc"
MEDIAPIPE_GRAPH = "mediapipe/tasks/cc/vision/image_segmenter/image_segmenter_graph.cc"
MEDIAPIPE_SHAPE = "mediapipe/calculators/tensor/tensors_to_segmentation_utils.cc"
MEDIAPIPE_MEASURED = "measured with mediapipe 1.2.2"
MEDIAPIPE_DOCS = "developers.google.com/edge/api/mediapipe/python/mp/tasks/vision/ImageSegmenter"

AXIS_LABELS = 2  # of AssociatedFileType

Objection = tuple[str, str]  # (reason, source)


def litertjs(graphs: ModelGraphs) -> list[Objection]:
    """Objections to a file's inputs and outputs in LiteRT.js."""
    graph = graphs.main
    found = []
    for place, tensor in _ends(graphs):
        if tensor.dtype not in LITERTJS_TYPES:
            wanted = ", ".join(LITERTJS_TYPES)
            found.append((f"{place} is {tensor.dtype}, taken: {wanted}", LITERTJS_SOURCE))
        if tensor.dynamic:
            found.append((f"{place} has a size that is not fixed", LITERTJS_SHAPES))
    custom = sorted({op.kind for op in graph.ops if op.kind.startswith("CUSTOM")})
    if custom:
        found.append((f"no way to add kernels for {', '.join(custom)}", LITERTJS_SOURCE))
    return found


def mediapipe(graphs: ModelGraphs) -> tuple[list[Objection], str]:
    """Objections to a file in MediaPipe's ImageSegmenter, and what else to know."""
    graph = graphs.main
    found: list[Objection] = []
    notes = []
    try:
        metadata = task_metadata(graphs)
    except DamagedFile as error:
        metadata = None
        found.append((str(error), MEDIAPIPE_DOCS))
    if metadata is None or not metadata.labels:
        notes.append("no label file in TFLITE_METADATA: classes have no names")
    if len(graphs.graphs) != 1:
        found.append((f"{len(graphs.graphs)} graphs, 1 is taken", MEDIAPIPE_GRAPH))
    if len(graph.inputs) != 1:
        found.append((f"{len(graph.inputs)} inputs, 1 is taken", MEDIAPIPE_INPUT))
    if len(graph.outputs) > 1:
        notes.append(f"of {len(graph.outputs)} outputs the last is the mask")
    if graph.inputs:
        found += _image(graph.tensors[graph.inputs[0]], metadata)
    if graph.outputs:
        found += _mask(graph.tensors[graph.outputs[-1]])
    if not found and _enlarged(graph):
        notes.append("enlarges the output with aligned corners: borders move by up to half a cell")
    return found, "; ".join(notes)


def _image(tensor: Tensor, metadata: TaskMetadata | None) -> list[Objection]:
    found = []
    shape = tensor.shape
    if len(shape) != 4 or shape[0] != 1 or shape[3] not in (3, 4) or min(shape[1:3]) < 1:
        found.append((f"the input is {size(shape)}, taken: 1xHxWx3", MEDIAPIPE_INPUT))
    if tensor.dtype not in ("uint8", "float32"):
        found.append((f"the input is {tensor.dtype}, taken: uint8, float32", MEDIAPIPE_INPUT))
    if tensor.dtype != "float32":
        return found
    if metadata is None or not metadata.normalized:
        found.append(("a float32 input needs NormalizationOptions", MEDIAPIPE_INPUT))
    elif metadata.per_channel:
        reason = "a float32 input takes one mean and std, the metadata have them by channel"
        found.append((reason, MEDIAPIPE_MEASURED))
    return found


def _enlarged(graph: Graph) -> bool:
    """Whether the output is smaller than the image; measured with mediapipe 1.2.2."""
    if not graph.inputs or not graph.outputs:
        return False
    image, mask = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[-1]]
    return image.shape[1:3] != mask.shape[1:3]


def _mask(tensor: Tensor) -> list[Objection]:
    found = []
    if len(tensor.shape) == 3:
        reason = f"an output of {size(tensor.shape)} is read as HxWxC: a label map is misread"
        found.append((reason, f"{MEDIAPIPE_SHAPE}; {MEDIAPIPE_MEASURED}"))
    elif len(tensor.shape) != 4 or tensor.shape[0] != 1:
        reason = f"the output is {size(tensor.shape)}, taken: 1xHxWxC"
        found.append((reason, MEDIAPIPE_SHAPE))
    if tensor.dtype not in ("uint8", "int8", "float32"):
        source = f"{MEDIAPIPE_DOCS}; int8: {MEDIAPIPE_MEASURED}"
        found.append((f"the output is {tensor.dtype}, taken: uint8, int8, float32", source))
    return found


def _ends(graphs: ModelGraphs) -> list[tuple[str, Tensor]]:
    graph = graphs.main
    ends = [("input", index) for index in graph.inputs]
    ends += [("output", index) for index in graph.outputs]
    return [(f"{kind} {index}", graph.tensors[index]) for kind, index in ends]


def size(shape: tuple[int, ...]) -> str:
    """`1x352x480x3`; `?` for a size that is not fixed."""
    return "x".join("?" if n < 0 else str(n) for n in shape) or "scalar"


@dataclasses.dataclass(frozen=True)
class TaskMetadata:
    """What a client needs of it.

    Attributes:
        normalized: whether the first input has NormalizationOptions.
        per_channel: whether these differ from channel to channel.
        labels: name of the label file of the last output, empty without.
    """

    normalized: bool
    per_channel: bool
    labels: str = ""


def task_metadata(graphs: ModelGraphs) -> TaskMetadata | None:
    """Reads it; None where the file has none.

    Raises:
        DamagedFile: it is there and cannot be read.
    """
    if NAME not in graphs.metadata:
        return None
    with retold(DamagedFile, f"its {NAME}: ", of=ValueError):
        described = next(iter(metadata_of(graphs).get("subgraph_metadata", ())), None)
    if described is None:
        raise DamagedFile(f"its {NAME} describes no graph")
    masks: SchemaTable = next(iter(reversed(described.get("output_tensor_metadata", ()))), {})
    options = normalisations(described)
    by_channel = [len(set(each.get(name, ()))) > 1 for each in options for name in ("mean", "std")]
    files = masks.get("associated_files", ())
    labels = [file.get("name", "") for file in files if file.get("type") == AXIS_LABELS]
    return TaskMetadata(bool(options), any(by_channel), *labels[:1])
