"""Puts the shipped weights into the package; all else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# Files of `fastscnn_tf.core.named_weights`, with the card and the licence that go with them.
WEIGHTS = sorted(
    path.as_posix()
    for pattern in ("fastscnn_camvid*", "LICENSE-*")
    for path in Path("tflite").glob(pattern)
)


class BuildWithWeights(build_py):
    """Copies the weights beside the code, where a wheel keeps them."""

    def run(self):
        super().run()
        if self.editable_mode:  # they are read in `tflite/`
            return
        folder = Path(self.build_lib) / "fastscnn_tf" / "weights"
        self.mkpath(str(folder))
        for path in WEIGHTS:
            self.copy_file(path, str(folder / Path(path).name))

    def get_source_files(self):
        return super().get_source_files() + WEIGHTS


setup(cmdclass={"build_py": BuildWithWeights})
