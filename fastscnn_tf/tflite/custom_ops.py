"""Custom operations: who can run them."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ModelFileError
from .graph import Graph

_COMPILED = "take the .tflite that it was compiled from"
_KNOWN = {  # name -> what runs it, what to do here
    "ethos-u": ("Arm's Ethos-U NPUs, through TFLite Micro with Arm's driver", _COMPILED),
    "edgetpu-custom-op": ("Google's Coral Edge TPU, through libedgetpu", _COMPILED),
    "NeutronGraph": ("NXP's eIQ Neutron NPUs, through NXP's delegate", _COMPILED),
    "vsi-npu": ("VeriSilicon's NPUs, through their VX delegate", _COMPILED),
    "Convolution2DTransposeBias": ("MediaPipe, which has kernels of its own", ""),
    "DISPATCH_OP": ("the NPU that LiteRT compiled it for, through its vendor's library", _COMPILED),
}
_FLEX = "TensorFlow's Flex delegate", "convert it without SELECT_TF_OPS"
_OTHER = "a runtime that has a kernel of this name", ""


def custom_operations(graph: Graph) -> dict[str, tuple[str, str]]:
    """The custom operations of a graph: what runs each, and what to do without that, if known."""
    kinds = dict.fromkeys(op.kind for op in graph.ops if op.kind.startswith("CUSTOM("))
    names = [kind.removeprefix("CUSTOM(").removesuffix(")") for kind in kinds]
    return {n: _FLEX if n.startswith("Flex") else _KNOWN.get(n, _OTHER) for n in names}


def check_custom(path: Path, graph: Graph) -> None:
    """Refuses what was made for other hardware, before an interpreter stumbles over it.

    Raises:
        ModelFileError: naming the operation, what runs it and what to do.
    """
    for name, (who, instead) in custom_operations(graph).items():
        if instead:
            raise ModelFileError(
                f"{path}: its operation {name} is run by {who}, not here: {instead}"
            )
