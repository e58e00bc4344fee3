"""TensorBoard files of a run: losses, scores of every class, images and the confusion matrix.

For models of either Keras on TensorFlow, whose file writer it uses. The step is the
number of finished epochs, as in `log.csv`.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..core.errors import ConfigError
from ..core.files.reading import open_regular
from ..core.files.writing import replacing
from ..core.keras_api import Callback, callback_of, on_tensorflow, tensorflow
from ..core.plots import confusion, pixels, require_matplotlib, strip
from ..runs.run_files import SCORE
from ..scoring.views import WholeImage

EVENTS = "events.out.tfevents.*"
PICTURE_EPOCHS = 20  # images of 20 epochs show a run; those of 1000 fill a disk


class Board(Callback):
    """Writes TensorBoard files; stands behind `Validate` in the list of callbacks.

    Scalars: `loss/total` and `loss/<head>`, `learning_rate`, `val_miou`, `val_pixel_accuracy`,
    `val_iou/<class>`. Images: `confusion_matrix` and `val/<n>` (image, label map and
    prediction side by side).

    Args:
        folder: where the files go. On resuming, what they say of later epochs than the last
            finished one is removed, so that no step comes twice.
        validate: the `Validate` callback, whose last result, predictor and averaged weights
            are shown.
        pictures: validation images, evenly spaced over the split; 0 for none.
        picture_every: epochs between images; by default a 20th of the run. The last epoch
            always has some.
    """

    def __init__(
        self,
        folder: Path,
        validate: Any,
        pictures: int = 4,
        picture_every: int | None = None,
    ):
        super().__init__()
        require_matplotlib()
        self.folder, self.validate = Path(folder), validate
        self.every = picture_every or -(-validate.epochs // PICTURE_EPOCHS)
        count = len(validate.dataset or ())  # none where nothing validates
        spaced = np.linspace(0, count - 1, min(pictures, count))
        self.indices = [int(index) for index in spaced.round()]
        self.writer: Any = None

    def on_epoch_begin(self, epoch, logs=None):
        if self.writer is None:
            forget_after(self.folder, epoch)
            self.writer = tensorflow().summary.create_file_writer(str(self.folder))

    def on_epoch_end(self, epoch, logs=None):
        done, logs = epoch + 1, logs or {}
        with self.writer.as_default(step=done):
            self._losses(logs)
            if SCORE in logs:
                self._scores(self.validate.result)
                if self.shows_pictures(done):
                    self._pictures()
        self.writer.flush()  # a run that is killed loses nothing

    def on_train_end(self, logs=None):
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _losses(self, logs):
        for name, value in logs.items():
            if name == "loss":
                _scalar("loss/total", value)
            elif name.endswith("_loss") and not name.startswith("val_"):
                _scalar(f"loss/{name.removesuffix('_loss')}", value)
        rate = logs.get("learning_rate")
        _scalar("learning_rate", self.model.optimizer.learning_rate if rate is None else rate)

    def _scores(self, result):
        _scalar(SCORE, result.miou)
        _scalar("val_pixel_accuracy", result.pixel_accuracy)
        for name, iou in result.class_iou.items():
            if iou is not None:
                _scalar(f"val_iou/{name}", iou)
        _image("confusion_matrix", pixels(confusion(result.scores.matrix, [*result.class_iou])))

    def shows_pictures(self, done):
        """At the first validation in each span of `every` epochs, and at the last one."""
        spans = done // self.every, (done - self.validate.every) // self.every
        return done == self.validate.epochs or spans[0] != spans[1]

    def _pictures(self):
        inference, dataset = WholeImage(self.validate.predictor), self.validate.dataset
        with self.validate.averaged():
            for number, index in enumerate(self.indices, 1):
                image, label = dataset.read(index)
                prediction = inference.label_map(image, label.shape)
                _image(f"val/{number}", strip(image, label, prediction, dataset.labels))


def board_for(keras: ModuleType) -> Any:
    """The callback class `Board` for one Keras.

    Raises:
        ConfigError: its models do not run on TensorFlow.
    """
    if not on_tensorflow(keras):
        raise ConfigError("TensorBoard files need KERAS_BACKEND=tensorflow")
    return callback_of(keras, Board)


def _scalar(name: str, value: Any) -> None:
    tensorflow().summary.scalar(name, float(value))


def _image(name: str, pixels: np.ndarray) -> None:
    tensorflow().summary.image(name, pixels[None])


def forget_after(folder: Path, step: int) -> None:
    """Removes what TensorBoard files say of later steps, and a record that was cut off.

    Args:
        folder: the files' own folder; those in folders below stay as they are.
        step: the last one that is kept.
    """
    for path in sorted(folder.glob(EVENTS)):
        open_regular(path, "file of TensorBoard").close()
        kept, whole = _records_until(path, step)
        if not whole:
            with (
                replacing(path) as temporary,
                tensorflow().io.TFRecordWriter(str(temporary)) as writer,
            ):
                for record in kept:
                    writer.write(record)


def _records_until(path: Path, step: int) -> tuple[list[bytes], bool]:
    """The records of a file up to a step, and whether these are all."""
    from google.protobuf.message import DecodeError

    tf = tensorflow()
    kept, whole = [], True
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            if tf.compat.v1.Event.FromString(record).step <= step:
                kept.append(record)
            else:
                whole = False
    except (tf.errors.DataLossError, DecodeError):  # the writer was killed
        whole = False
    return kept, whole
