"""Every notebook runs from top to bottom, at small scale, outside of the checkout."""

import os
import shutil
import warnings
from pathlib import Path

import pytest

# Notebook -> (what it prints at its end, images it draws).
EXPECTED = {
    "01_quickstart": ("int8_qat.tflite", 3),
    "02_train": ("mean IoU", 5),
    "03_quantize_and_convert": ("pixels get the same class", 2),
    "04_run_on_device": ("all of this ran without TensorFlow", 5),
}
NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
TERMS = "weights trained on CamVid, for research only (CC BY-NC 4.0)"
# Set here by earlier tests, and hiding from the kernel what a user would see.
HIDING = ("TF_CPP_MIN_LOG_LEVEL", "PYTEST_CURRENT_TEST")
# Runs before a notebook's own cells: fewer streets, a narrow network with few layers, and fewer
# looks for garbage (as in `conftest.py`).
SMALLER = """
import functools
import gc

import fastscnn_tf
from fastscnn_tf.data.datasets import toy_streets

gc.set_threshold(50_000, 5, 5)
toy_streets.SPLITS = {"train": (0, 40), "val": (1, 16), "test": (2, 8)}
of_labels = fastscnn_tf.FastSCNNConfig.for_labels
fastscnn_tf.FastSCNNConfig.for_labels = functools.partial(
    of_labels, width=0.25, repeats=(1, 1, 1), pyramid_bins=(1, 2)
)
"""


@pytest.fixture(scope="module")
def camvid(tmp_path_factory) -> dict[str, str]:
    """What says where CamVid is, every eighth image of it; nothing where it is not."""
    if not (whole := os.environ.get("FASTSCNN_CAMVID")):
        return {}
    few = tmp_path_factory.mktemp("few") / "camvid"
    for name in ("train", "trainannot", "val", "valannot"):
        (few / name).mkdir(parents=True)
        for path in sorted(Path(whole, name).glob("*.png"))[::8]:
            shutil.copy(path, few / name)
    return {"FASTSCNN_CAMVID": str(few)}


@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs(path, camvid, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in HIDING}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the Jupyter client, not of the notebook
        import nbformat
        from nbclient import NotebookClient

        notebook = nbformat.read(path, as_version=4)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(SMALLER))
        where = {"metadata": {"path": tmp_path}}
        patience = {"timeout": 3600, "startup_timeout": 600}  # seconds for a cell, for the kernel
        client = NotebookClient(notebook, kernel_name="python3", resources=where, **patience)
        client.execute(env={**environment, **camvid, "FASTSCNN_EPOCHS": "1"})
    outputs = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    texts = [o for o in outputs if o.output_type == "stream"]
    warned = "".join(o.text for o in texts if o.name == "stderr")
    assert all(line.endswith(TERMS) for line in warned.splitlines())
    printed, pictures = EXPECTED[path.stem]
    assert any(printed in o.text for o in texts)
    assert sum("image/png" in o.get("data", {}) for o in outputs) == pictures
