"""LiteRT's GPU accelerator, GPU alone, on SwiftShader: a Vulkan driver that computes on the CPU.

What a GPU in float16 loses is not seen here: this driver computes in float32 whatever is allowed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.delegates.settings_file import write_settings

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "gpu"
sys.path[:0] = [str(ROOT / "tests" / "runtime" / "inspection"), str(SCRIPTS)]

from compile_on_gpu import compiled_on_gpu  # noqa: E402
from segment import SETTINGS  # noqa: E402
from tiny_models import TinyModel, convolution  # noqa: E402


@pytest.fixture(scope="module")
def environment(target_tools):
    """For processes that shall find the driver, and this checkout."""
    tools = target_tools("gpu") / "root"
    return {
        **os.environ,
        "FASTSCNN_TRUSTED": "1",  # a software GPU takes its time; trials have tests of their own
        "VK_DRIVER_FILES": str(tools / "vk_swiftshader_icd.json"),
        "LD_LIBRARY_PATH": str(tools),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture(scope="module")
def python(environment):
    """Runs Python with arguments on the driver; the finished process."""

    def run(*arguments):
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False
        )

    return run


@pytest.fixture(scope="module")
def driver(python, tmp_path_factory):
    """(found, expected) of a convolution: a driver that computes it wrongly proves nothing."""
    folder = tmp_path_factory.mktemp("canary")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 30, 42, 12)).astype(np.float32)
    weights = rng.normal(size=(20, 3, 3, 12)).astype(np.float32)
    (folder / "m.tflite").write_bytes(
        convolution(input=x.shape, filters=20, weights=weights, padding=0)
    )
    np.save(folder / "x.npy", x)
    names = (folder / name for name in ("m.tflite", "x.npy", "y.npy"))
    done = python(SCRIPTS / "canary.py", *names, 30 * 42 * 20)
    assert done.returncode == 0, done.stderr
    padded = np.pad(x[0].astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))
    expected = np.einsum("yxcij,fijc->yxf", windows, weights.astype(np.float64))
    found = np.load(folder / "y.npy").reshape(expected.shape)
    if np.abs(found - expected).max() > 1e-4:
        pytest.fail("the canary convolution is wrong: this driver's results mean nothing")
    return found, expected


@pytest.fixture(scope="module")
def real_streets():
    """Three pictures of CamVid, where it is."""
    folder = os.environ.get("FASTSCNN_CAMVID")
    return sorted(Path(folder, "val").glob("*.png"))[::50] if folder else []


@pytest.fixture(scope="module")
def on_gpu(driver, python, model_files, street_files, real_streets, tmp_path_factory):
    """kind -> {picture: label map, "raw": output} by `Segmenter`; real ones by int8."""
    folder, results = tmp_path_factory.mktemp("gpu"), {}
    for kind, model in model_files.items():
        target = folder / f"{kind}.npz"
        pictures = [*street_files.values(), *(real_streets if kind == "int8" else ())]
        done = python(SCRIPTS / "segment.py", model, target, *pictures)
        assert done.returncode == 0, done.stderr
        results[kind] = dict(np.load(target))
    return results


@pytest.fixture(scope="module")
def gathering(tmp_path_factory):
    """A segmentation file with a GATHER_ND: each pixel is its own logits."""
    m, sides = TinyModel(), (1, 16, 16)
    x, y = m.tensor((*sides, 3)), m.tensor((*sides, 3))
    places = m.tensor((*sides, 3), "int32", np.stack(np.indices(sides), -1))
    m.op("GATHER_ND", [x, places], [y], "GatherNdOptions")
    path = tmp_path_factory.mktemp("gather") / "gathering.tflite"
    path.write_bytes(m.pack([x], [y]))
    return path


def test_canary_convolution(driver):
    found, expected = driver
    assert np.abs(expected).max() > 10  # there was something to compute
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_every_recipe_is_accelerated_whole_and_gather_nd_is_not(
    driver, environment, model_files, gathering
):
    """The negative control: a driver that takes GATHER_ND takes anything."""
    files = {**model_files, "gathering": gathering}
    answers = compiled_on_gpu([str(path) for path in files.values()], environment)
    taken = {kind: answers[str(path)] for kind, path in files.items()}
    assert taken == {"float32": True, "float16": True, "int8": True, "gathering": False}


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_float_label_maps_are_those_of_the_cpu(on_gpu, label_maps, kind):
    for name, expected in label_maps[kind].items():
        assert np.mean(on_gpu[kind][name] == expected) >= 0.999, name


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_float_logits_are_near_the_cpus_and_not_equal(on_gpu, model_files, street_files, kind):
    """Equal to the bit would mean that the CPU computed them."""
    image = np.asarray(Image.open(street_files["street_own"]))
    expected = fs.Segmenter(model_files[kind], settings=DeviceSettings()).run(image)
    np.testing.assert_allclose(on_gpu[kind]["raw"], expected, atol=1e-3)
    assert not np.array_equal(on_gpu[kind]["raw"], expected)


def test_int8_is_taken_and_rounded_otherwise(on_gpu, label_maps, model_files, street_files):
    """The accelerator computes an int8 graph in float, with the graph's ranges: steps differ.

    On drawn streets, where many logits are close, 2 % of the pixels change class.
    """
    image = np.asarray(Image.open(street_files["street_own"]))
    expected = fs.Segmenter(model_files["int8"], settings=DeviceSettings()).run(image)
    steps = np.abs(on_gpu["int8"]["raw"].astype(int) - expected)
    assert 0 < steps.max() <= 8
    assert np.mean(steps) < 2
    for name, labels in label_maps["int8"].items():
        assert 0.95 < np.mean(on_gpu["int8"][name] == labels) < 1, name


def test_int8_changes_few_pixels_of_real_streets(on_gpu, camvid_dir, real_streets, model_files):
    here = fs.Segmenter(model_files["int8"])
    assert len(real_streets) == 3
    for path in real_streets:
        assert np.mean(on_gpu["int8"][path.stem] == here.predict(path)) > 0.997, path


def test_predict_applies_settings_that_lie_beside_the_file(
    on_gpu, python, model_files, street_files, tmp_path
):
    model = tmp_path / "float16.tflite"
    model.write_bytes(model_files["float16"].read_bytes())
    write_settings(model, SETTINGS)
    picture = street_files["street_upright"]
    done = python("-m", "fastscnn_tf", "predict", model, picture, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    labels = np.asarray(Image.open(tmp_path / "out" / "street_upright_labels.png"))
    np.testing.assert_array_equal(labels, on_gpu["float16"]["street_upright"])


def test_what_the_gpu_refuses_is_one_line_and_runs_on_the_cpu(
    driver, python, gathering, street_files, tmp_path
):
    command = ("-m", "fastscnn_tf", "predict", gathering, street_files["street_small"])
    command = (*command, "--scale", "1")
    settings = write_settings(gathering, SETTINGS)
    done = python(*command, "--output", tmp_path / "gpu")
    assert done.returncode == 2
    assert re.fullmatch(
        r"fastscnn: .*: from elsewhere: .*\n"
        r"fastscnn: .*gathering\.tflite: cannot be compiled for gpu here \(.*\): use other "
        r"settings, such as accelerator=cpu\n",
        done.stderr,
    )
    settings.unlink()
    done = python(*command, "--output", tmp_path / "cpu")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cpu" / "street_small_labels.png").exists()


def test_the_rules_of_inspect_are_those_of_this_driver(driver, python):
    """Tests of the rules, operation by operation, that are skipped without a driver."""
    files = ("runtime/inspection/test_rules_measured.py", "runtime/test_settings_applied.py")
    tests = [ROOT / "tests" / name for name in files]
    done = python("-m", "pytest", "-p", "no:cacheprovider", "-k", "gpu", *tests)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\.{2,}\s", done.stdout, re.MULTILINE), done.stdout  # none is skipped
