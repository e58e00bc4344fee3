"""A `.keras` file of anybody: what of it is read, and what of that Keras gets to see.

Keras gets an archive written anew: the configuration as it was checked, and weights as arrays that
were read in a process of their own. Assets, links and whatever else an archive holds stay behind.
"""

import contextlib
import dataclasses
import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ...core.about_schema import About
from ...core.aliases import StrPath
from ...core.confined import HDF5, Limits, run_confined
from ...core.errors import ModelFileError, instead_of
from ...core.files.json_text import decode_json
from ...core.files.zip_archive import Archive, open_zip, read_npz
from ...core.foreign_text import one_line
from ...core.keras_api import keras3

SECONDS = 10  # honest files take less than one for 100 MB
PATIENCE = 60  # seconds more, for what neither ends nor computes
BASE_MEMORY = 1 << 30  # bytes of address space: Python, numpy and HDF5
TASK = Path(__file__).with_name("hdf5_child.py")


def read_hdf5(
    content: bytes, where: str, largest: int, keras: bool = False, attribute: str = ""
) -> dict[str, np.ndarray]:
    """The arrays of a file by their paths; bfloat16 comes as float32.

    Args:
        content: the file.
        where: messages call it so.
        largest: bytes that all arrays may have together.
        keras: the weights of a Keras model alone, called `layer/variable`.
        attribute: no arrays but the bytes of the file's text of that name, empty without one.

    Raises:
        ModelFileError: damaged, larger, or with links, data elsewhere or other than numbers.
    """
    memory = BASE_MEMORY + len(content) + 4 * largest
    seconds = SECONDS + len(content) // (50 << 20)
    limits = Limits(memory, seconds, PATIENCE + 2 * seconds)
    outcome = run_confined(TASK, [largest, keras, attribute], content, limits, library=HDF5)
    if not outcome.started:
        raise ModelFileError(f"{where}: no process to read it ({outcome.ending})")
    for line in outcome.lines:
        raise ModelFileError(f"{where}: {one_line(line['refused'])}")
    if not outcome.result:
        slow = outcome.ending.startswith("no end") or outcome.ending.endswith("(SIGKILL)")
        how = "came to no end with" if slow else "crashed on"
        raise ModelFileError(f"{where}: HDF5 {how} it: damaged")
    return read_npz(outcome.result, where, largest=2 * largest + BASE_MEMORY, error=ModelFileError)


CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
PACKED = 4  # times an HDF5 file's size that its arrays may take: weights hardly compress


class Config(msgspec.Struct):
    """What is read of `config.json`; the rest goes to Keras as it is, if at all."""

    registered_name: str | None = None
    config: dict[str, Any] | None = None
    compile_config: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class KerasArchive:
    """An open `.keras` file.

    Attributes:
        path: for messages.
        archive: the archive.
        config: of the model.
        whole: all that `config.json` holds.
    """

    path: Path
    archive: Archive
    config: Config
    whole: dict[str, Any]

    def weights(self, largest: int) -> dict[str, np.ndarray]:
        """The arrays of the model by their paths in the HDF5 file.

        Raises:
            ModelFileError: damaged, or more than `largest` bytes.
        """
        with instead_of(KeyError, ModelFileError(f"{self.path}: damaged, {WEIGHTS} is missing")):
            content = self.archive.read(WEIGHTS, largest)
        most = min(largest, PACKED * len(content))
        return read_hdf5(content, f"{self.path}: {WEIGHTS}", most)


@contextlib.contextmanager
def open_keras(path: StrPath) -> Iterator[KerasArchive]:
    """Opens a `.keras` file; nothing but its configuration is unpacked yet.

    Raises:
        ModelFileError: no such file, no such archive, a bomb, or without a configuration.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ModelFileError(f"{path}: expected a .keras file or a run folder")
    with open_zip(path, str(path), "model file", error=ModelFileError) as archive:
        with instead_of(KeyError, ModelFileError(f"{path}: damaged, or not a .keras file")):
            text = archive.read(CONFIG)
        where = f"{path}: {CONFIG}"
        whole: dict[str, Any] = decode_json(text, where, dict[str, Any], error=ModelFileError)
        config: Config = decode_json(text, where, Config, error=ModelFileError)
        yield KerasArchive(path, archive, config, whole)


def keras_model(
    config: dict[str, Any], weights: dict[str, np.ndarray], path: Path, compile: bool = False
) -> Any:
    """The model of a configuration and arrays, as Keras reads it from an archive of only these.

    Args:
        config: what `config.json` is to hold.
        weights: arrays by their paths.
        path: of the file that they came from, for messages.
        compile: restore optimizer and losses, too.

    Raises:
        ModelFileError: Keras cannot make a model of them.
    """
    keras = keras3()
    with tempfile.TemporaryDirectory() as folder:
        clean = Path(folder) / "model.keras"
        _write(clean, config, weights)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Keras warns of what it then fails on
                return keras.models.load_model(clean, compile=compile, safe_mode=True)
        except (MemoryError, OverflowError) as error:
            raise ModelFileError(
                f"{path}: a model too large for memory ({line_of(error)})"
            ) from None
        except Exception as error:  # a layer may raise anything at a configuration made by hand
            raise ModelFileError(f"{path}: cannot be loaded ({line_of(error)})") from None


def line_of(error: BaseException) -> str:
    """The first line of what a library says."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return one_line(lines[0][:160])


def _write(path: Path, config: dict[str, Any], weights: dict[str, np.ndarray]) -> None:
    import h5py

    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        for name, values in weights.items():
            file[name] = values
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(METADATA, json.dumps({"keras_version": keras3().__version__}))
        archive.writestr(CONFIG, json.dumps(config))
        archive.writestr(WEIGHTS, stored.getbuffer())


# What a `.keras` says of itself besides the network: JSON of ours. Keras leaves such members alone.
MEMBER = "fastscnn_tf.json"
TEXTS = ("name", "description", "version", "author", "license")
LARGEST = 1 << 20  # bytes; a training run takes some hundred


def add_about(path: StrPath, about: Mapping[str, Any]) -> None:
    """Appends it to a `.keras` that has none; the weights' bytes stay.

    Args:
        path: the file.
        about: as `about_model` gives it: `TEXTS` and `run`.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER), json.dumps(about, indent=2) + "\n")


def read_about(path: StrPath) -> dict[str, Any]:
    """What `add_about` wrote; empty where there is nothing of it, in whatever file.

    Raises:
        ModelFileError: a licence or another text is there and none, or the file is a bomb.
    """
    if Path(path).suffix != ".keras" or not Path(path).is_file() or not zipfile.is_zipfile(path):
        return {}
    with open_zip(path, str(path), ".keras file", error=ModelFileError) as archive:
        if MEMBER not in archive.sizes:
            return {}
        content = archive.read(MEMBER, LARGEST)
    found: About = decode_json(content, f"{path}: {MEMBER}", About, error=ModelFileError)
    return {name: value for name, value in msgspec.structs.asdict(found).items() if value}
