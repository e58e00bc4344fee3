"""Writes the tables of who runs the shipped files: `python tflite/delegates.py`.

They are what `fastscnn inspect --markdown` prints of float32, float16 and int8 side by side, into
`docs/inspection.md` between its marks, and of each file, operation by operation, into
`delegates.md`. The float32 file does not ship: it is made of the Keras model.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import fastscnn_tf as fs
from fastscnn_tf.inspection.side_by_side import markdown_side_by_side

HERE = Path(__file__).parent
PAGE, OPERATIONS = HERE.parent / "docs" / "inspection.md", HERE / "delegates.md"
BEGIN, END = "<!-- inspect:begin (python tflite/delegates.py) -->", "<!-- inspect:end -->"
NAME = "fastscnn_camvid"
HEAD = """# Operation by operation: who runs the shipped files

Written by `python tflite/delegates.py`; `fastscnn inspect M.tflite --markdown` prints the same of
any file. [Side by side](../docs/inspection.md), with what the rules rest on.
"""


def tables(folder: Path) -> tuple[str, str]:
    """What belongs between the page's marks, and the whole of `delegates.md`.

    Args:
        folder: an empty one, for the float32 file.
    """
    whole = folder / f"{NAME}_float32.tflite"
    fs.export_tflite(fs.load_model(HERE / f"{NAME}.keras"), whole, "float32")
    paths = [HERE / f"{NAME}_int8.tflite", HERE / f"{NAME}_float16.tflite", whole]
    found = [fs.inspect(path) for path in paths]
    parts = [f"## {each.metadata['recipe']}\n{each.markdown()}\n" for each in found]
    return markdown_side_by_side(found), "\n".join([HEAD, *parts])


def between_marks(text: str) -> str:
    """What stands between the marks of a text.

    Raises:
        ValueError: it lacks them.
    """
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip("\n")


def main() -> None:
    """Writes both."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        summary, operations = tables(Path(folder))
    page = PAGE.read_text(encoding="utf-8")
    before, after = page[: page.index(BEGIN)], page[page.index(END) :]
    PAGE.write_text(f"{before}{BEGIN}\n{summary}\n{after}", encoding="utf-8")
    OPERATIONS.write_text(operations, encoding="utf-8")


if __name__ == "__main__":
    main()
