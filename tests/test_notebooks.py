"""Every notebook runs from top to bottom, at small scale."""

import warnings
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs(path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the Jupyter client, not of the notebook
        import nbformat
        from nbclient import NotebookClient

        monkeypatch.setenv("FASTSCNN_EPOCHS", "1")
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    texts = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream"
    ]
    assert not [o.text for o in texts if o.name == "stderr"]
    assert any("int8_qat.tflite" in o.text for o in texts)
    pictures = sum(
        "image/png" in o.get("data", {})
        for c in notebook.cells
        if c.cell_type == "code"
        for o in c.outputs
    )
    assert pictures == 3
