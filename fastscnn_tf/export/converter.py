"""Running the TFLite converter quietly, and the edits it leaves to do."""

from __future__ import annotations

import json
import warnings
from typing import Any

from ..core.console import quiet_stderr
from ..core.errors import ExportError
from ..keras_api import tensorflow
from ..runtime.tflite_file import METADATA_NAME, unpack
from .recipes import Recipe


def convert(function: Any, rules: Recipe, outputs: str) -> bytes:
    """Converts a concrete function by a recipe.

    Raises:
        ExportError: the converter failed.
    """
    tf = tensorflow()
    with quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
        if rules.half_weights or rules.quantized:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if rules.half_weights:
            converter.target_spec.supported_types = [tf.float16]
        if rules.quantized:
            # uint8 outside: MediaPipe and LiteRT.js refuse int8 inputs and outputs.
            converter.inference_input_type = tf.uint8
            if outputs != "labels":
                converter.inference_output_type = tf.uint8
        try:
            return converter.convert()
        except Exception as error:
            raise ExportError(f"the converter failed: {str(error).splitlines()[0]}") from error


def finish(content: bytes, metadata: dict[str, Any]) -> bytes:
    """Rewrites what the converter leaves and puts our metadata into the file."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = unpack(content)
    _relu_to_quantize(model, schema)
    _add_metadata(model, schema, metadata)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _relu_to_quantize(model: Any, schema: Any) -> None:
    """Turns a stand-alone int8 RELU into a QUANTIZE.

    The RELU behind a resize cannot be fused, and XNNPACK has no int8 RELU: it would split the
    graph. A QUANTIZE to a scale whose zero point is the lowest value clamps at 0 just the same.
    """
    operators = schema.BuiltinOperator
    kinds = [code.builtinCode for code in model.operatorCodes]
    for graph in model.subgraphs:
        for op in graph.operators:
            output = graph.tensors[op.outputs[0]]
            if kinds[op.opcodeIndex] != operators.RELU or output.type != schema.TensorType.INT8:
                continue
            if list(output.quantization.zeroPoint) != [-128]:
                continue
            if operators.QUANTIZE not in kinds:
                code = schema.OperatorCodeT()
                code.builtinCode = code.deprecatedBuiltinCode = operators.QUANTIZE
                code.version = 2
                model.operatorCodes.append(code)
                kinds.append(operators.QUANTIZE)
            op.opcodeIndex = kinds.index(operators.QUANTIZE)
            op.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
            op.builtinOptions = schema.QuantizeOptionsT()


def _add_metadata(model: Any, schema: Any, metadata: dict[str, Any]) -> None:
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(json.dumps(metadata).encode())
    model.buffers.append(buffer)
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
