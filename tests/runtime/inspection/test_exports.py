"""Recipes and outputs of the export: exact MACs, and rules that the interpreter confirms."""

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.inspection.inspect_tflite import inspect
from fastscnn_tf.inspection.rules import Node, half_constants
from fastscnn_tf.inspection.rules_xnnpack import XNNPACK
from fastscnn_tf.model.complexity import complexity
from fastscnn_tf.tflite.file import read_model
from fastscnn_tf.tflite.macs import count_macs


def test_macs_are_the_networks_and_the_rules_are_the_interpreters(tflite_files):
    for (recipe, outputs), path in tflite_files.items():
        found = inspect(path)
        config = FastSCNNConfig.from_dict(found.metadata["config"])
        graph = read_model(path)[1].main
        # What is rearranged for speed is filled up with zeros; int8 means are convolutions of ones.
        means = sum(
            count_macs(graph, op).total
            for op in graph.ops
            if len(op.inputs) > 1 and graph.tensors[op.inputs[1]].name.endswith(".ones")
        )
        assert (means > 0) == recipe.startswith("int8"), (recipe, outputs)
        assert found.macs - found.filling_macs - means == complexity(config).macs, (recipe, outputs)
        halves = half_constants(graph)
        taken = [
            op.index
            for op in graph.ops
            if op.outputs[0] in halves or XNNPACK.objection(Node(graph, op, halves)) is None
        ]
        assert taken == list(found.measured.delegated), (recipe, outputs)
        if recipe in ("float32", "float16", "int8", "int8-qat"):
            left = {finding.kind for finding in found.verdict("GPU (TFLite delegate)").findings}
            assert left == ({"ARG_MAX", "CAST"} if "labels" in outputs else set())
