"""The rules against the runtimes of this machine: each operation alone in a file."""

import os
from pathlib import Path

import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from compile_on_gpu import compiled_on_gpu
from single_operations import CASES

from fastscnn_tf.core.console import quiet_stderr
from fastscnn_tf.inspection.probe import delegated_ops
from fastscnn_tf.inspection.rules import Node, RuleTable, half_constants
from fastscnn_tf.inspection.rules_gpu import GPU_ACCELERATOR
from fastscnn_tf.inspection.rules_xnnpack import XNNPACK
from fastscnn_tf.tflite.graph import Graph
from fastscnn_tf.tflite.parser import parse_tflite


def predicted(graph: Graph, table: RuleTable) -> list[bool]:
    """What the rules say about each operation."""
    halves = half_constants(graph)
    return [
        op.outputs[0] in halves or table.objection(Node(graph, op, halves)) is None
        for op in graph.ops
    ]


PLAIN = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def load(content, resolver):
    """The interpreter, None where it refuses the file."""
    try:
        with quiet_stderr():
            interpreter = Interpreter(
                model_content=content, experimental_op_resolver_type=resolver, num_threads=1
            )
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError):
        return None
    return interpreter


@pytest.mark.parametrize("name", CASES)
def test_the_rules_say_what_the_interpreter_does(name):
    content = CASES[name]
    graph = parse_tflite(content).main
    expected = predicted(graph, XNNPACK)
    interpreter = load(content, OpResolverType.BUILTIN)
    if interpreter is None:  # claimed, and the preparation fails
        assert expected == [False]
        return
    nodes = interpreter._get_ops_details()
    delegates = [
        [node["inputs"].tolist(), node["outputs"].tolist()]
        for node in nodes
        if node["op_name"] == "DELEGATE"
    ]
    delegated = delegated_ops(graph, delegates)
    assert expected == [op.index in delegated for op in graph.ops]


def test_most_cases_can_be_loaded_and_both_answers_occur():
    loaded = [name for name in CASES if load(CASES[name], OpResolverType.BUILTIN)]
    assert len(loaded) > 0.9 * len(CASES)
    assert "int8 relu" in loaded and "int8 conv" in loaded


@pytest.mark.skipif("VK_DRIVER_FILES" not in os.environ, reason="VK_DRIVER_FILES names no driver")
def test_the_rules_say_what_the_gpu_accelerator_does(tmp_path):
    names = [name for name in CASES if load(CASES[name], PLAIN) is not None]
    paths = {name: str(tmp_path / f"{name}.tflite") for name in names}
    for name, path in paths.items():
        Path(path).write_bytes(CASES[name])
    answers = compiled_on_gpu(list(paths.values()))
    wrong = {
        name: answers[path]
        for name, path in paths.items()
        if all(predicted(parse_tflite(CASES[name]).main, GPU_ACCELERATOR)) != answers[path]
    }
    assert len(names) > 100
    assert wrong == {}
    assert answers[paths["float32 gather nd"]] is False  # a driver that takes this takes anything
    assert answers[paths["float32 conv"]] is True
