"""`predict_files`: label maps and overlays of picture files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from .core.errors import OutputError
from .core.files import check_output, replacing
from .core.images import list_images, read_image, resize_image, save_label
from .core.labels import LabelSpace
from .core.sizes import Size
from .evaluation import load_predictor
from .runtime.evaluate import frame_of
from .runtime.postprocess import labels_from_output
from .runtime.segmenter import Segmenter
from .runtime.visualize import overlay


def predict_files(
    model: Any,
    paths: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    opacity: float = 0.5,
    threads: int = 2,
    force: bool = False,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
    size: Size | None = None,
    pad: bool = False,
) -> list[Path]:
    """Writes `<stem>_labels.png` (palette PNG of class indices) and `<stem>_overlay.png`.

    Args:
        model: a path or a Keras model, as for `evaluate`.
        paths: pictures, or folders of pictures.
        folder: where the results go.
        opacity: of the overlay's colours.
        threads: CPU threads of a .tflite.
        force: replace existing results.
        progress: wraps the picture indices.
        size: run a Keras model at another (height, width).
        pad: take any `size`, padding the image to multiples of 32.

    Returns:
        The label maps written, in the order of the pictures.

    Raises:
        DataError: a picture is missing or unreadable; those before it are written.
        OutputError: a result exists, two pictures share a name, or the folder cannot be written.
    """
    folder = Path(folder)
    listed = (picture for path in paths for picture in list_images(path))
    pictures = list({p.resolve(): p for p in listed if not _is_result(p, folder)}.values())
    targets = [folder / f"{picture.stem}_labels.png" for picture in pictures]
    if len(set(targets)) != len(targets):
        twice = next(t for i, t in enumerate(targets) if t in targets[:i])
        names = ", ".join(str(p) for p, t in zip(pictures, targets, strict=True) if t == twice)
        raise OutputError(f"{names} would both become {twice.name}: predict them one by one")
    overlays = [folder / f"{picture.stem}_overlay.png" for picture in pictures]
    predictor = load_predictor(model, threads, size=size, pad=pad)
    for target in (*targets, *overlays):
        check_output(target, force)
    space = _labels(predictor)
    for index in progress(range(len(pictures))):
        image = read_image(pictures[index])
        output = predictor.run(resize_image(image, predictor.input_size))
        labels = labels_from_output(output, frame_of(predictor), image.shape[:2])
        with replacing(targets[index]) as temporary:
            save_label(temporary, labels, space.palette())
        with replacing(overlays[index]) as temporary:
            Image.fromarray(overlay(image, labels, space, opacity)).save(temporary)
    return targets


def _is_result(picture: Path, folder: Path) -> bool:
    """Whether an earlier call wrote this picture (input and output folder are the same)."""
    ours = picture.stem.endswith(("_labels", "_overlay"))
    return ours and picture.parent.resolve() == folder.resolve()


def _labels(predictor: Any) -> LabelSpace:
    return predictor.labels if isinstance(predictor, Segmenter) else predictor.config.labels
