"""The teacher of the CamVid weights: what PyTorch trains and what Keras gets are one network."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.train.distill.teacher import open_teacher

torch = pytest.importorskip("torch")
SCRIPT = Path(__file__).parents[2] / "tflite" / "camvid" / "teacher.py"
SIZE = (64, 96)


@pytest.fixture(scope="module")
def script():
    found = importlib.util.spec_from_file_location("camvid_teacher", SCRIPT)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("variant", "parameters"), [("0", 3_391_147), ("2", 4_810_939)])
def test_keras_gets_the_network_that_pytorch_trains(script, variant, parameters):
    torch.manual_seed(0)
    network = script.Teacher(variant)
    for module in network.modules():  # statistics that no layer begins with
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    image = np.random.default_rng(0).uniform(-1, 1, (1, *SIZE, 3)).astype(np.float32)
    with torch.no_grad():
        wanted = network.eval()(torch.from_numpy(image).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    model = script.keras_model(network)
    assert model.count_params() == parameters
    teacher = open_teacher(model, FastSCNNConfig(11, input_size=SIZE))
    found = np.asarray(teacher(image).detach())
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5 * float(wanted.abs().max()))
