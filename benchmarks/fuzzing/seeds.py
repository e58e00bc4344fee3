"""Sound files of each kind, which mutants are made from; the package itself writes most of them."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from . import checkpoints, foreign
from .models import CLASSES, COLORS, metadata, small_tflite

ROOT = Path(__file__).resolve().parents[2]
FORMATS = {
    "png": "PNG",
    "jpg": "JPEG",
    "tif": "TIFF",
    "gif": "GIF",
    "webp": "WEBP",
    "bmp": "BMP",
    "ppm": "PPM",
    "avif": "AVIF",
}
OTHERS = ("EPS", "PCX", "ICO", "TGA", "SGI", "DDS", "PDF", "IM", "MSP", "XBM", "JPEG2000", "PALM")
RUN_FILES = ("run.json", "state.json", "log.csv", "recipe.json")


def make_seeds(top: Path, heavy: Collection[str]) -> None:
    """Writes a folder for each kind of input below `top`; the `heavy` need TensorFlow."""
    common = top / "common"
    common.mkdir(parents=True)
    (common / "m.tflite").write_bytes(small_tflite())
    _dataset(common / "data")
    shutil.copy(common / "data" / "val" / "images" / "0.png", common / "street.png")
    with contextlib.chdir(common):
        _written_by_commands(top)
    _pictures(top)
    _others(top)
    if heavy:
        _keras(top, heavy)


def _folder(top: Path, kind: str) -> Path:
    folder = top / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _street(seed: int) -> tuple[Image.Image, Image.Image]:
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1, 2], 16)[:, None].repeat(64, 1).astype(np.uint8)
    pixels = np.array(COLORS)[label] + rng.integers(-20, 20, (48, 64, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), Image.fromarray(label * 10 + 10)


def _dataset(root: Path) -> None:
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (root / split / kind).mkdir(parents=True)
        for number in range(2):
            image, label = _street(number)
            image.save(root / split / "images" / f"{number}.png")
            label.save(root / split / "labels" / f"{number}.png")
    classes = "\n".join(
        f"  - {{name: {name}, value: {i * 10 + 10}, color: {list(COLORS[i])}}}"
        for i, name in enumerate(CLASSES)
    )
    (root / "dataset.yaml").write_text(
        f"name: own\nclasses:\n{classes}\nvoid: [0]\nsplits:\n"
        "  train: {images: train/images, labels: train/labels}\n"
        "  val: {images: val/images, labels: val/labels}\n"
    )


def _written_by_commands(top: Path) -> None:
    """What `data pack`, `pseudo-label`, `evaluate`, `save-logits` and `settings` write."""
    own = ["--dataset", "folder", "--data-dir", "data"]
    _run("data", "pack", *own, "--split", "val", "--output", _folder(top, "records") / "rec")
    (top / "records" / "rec" / "notes.txt").write_text("mine")
    images = _folder(top, "pseudo") / "images"
    images.mkdir()
    for number in range(2):
        _street(number)[0].save(images / f"{number}.png")
    with contextlib.chdir(top / "pseudo"):
        shutil.copy(top / "common" / "m.tflite", "m.tflite")
        label = ("pseudo-label", "m.tflite", "--images", "images", "--confidence", "0.1")
        _run(*label, "--copy", "--output", "pseudo")
    _run("evaluate", "m.tflite", *own, "--json", _folder(top, "scores") / "scores.json")
    logits = _folder(top, "logits") / "logits"
    _run("save-logits", "m.tflite", *own, "--split", "val", "--output", logits)
    _run("settings", "m.tflite", "--for", "pi5")
    shutil.move("m.tflite.settings.json", _folder(top, "settings") / "m.tflite.settings.json")


def _run(*arguments: object) -> None:
    from fastscnn_tf.cli.commands import run_command

    with contextlib.redirect_stdout(io.StringIO()):
        try:
            run_command([str(a) for a in arguments])
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"a seed could not be written: {arguments}") from None


def _pictures(top: Path) -> None:
    image = _street(0)[0]
    for suffix, name in FORMATS.items():
        folder = _folder(top, suffix)
        with contextlib.suppress(KeyError):  # Pillow without AVIF
            image.save(folder / f"image.{suffix}", name)
    frames = [_street(i)[0].convert("P") for i in range(3)]
    frames[0].save(top / "gif" / "image.gif", save_all=True, append_images=frames[1:])
    for name in OTHERS:
        folder = _folder(top, f"disguised/{name.lower()}")
        mode = {"MSP": "1", "XBM": "1", "PALM": "P"}.get(name, "RGB")
        with contextlib.suppress(KeyError, OSError):
            image.convert(mode).save(folder / "image.png", name)


def _others(top: Path) -> None:
    for name in ("run", "run2"):
        run = _folder(top, "run") / name
        run.mkdir()
        for file in RUN_FILES:
            shutil.copy(ROOT / "tflite/camvid/train" / file, run / file)
    shutil.copy(ROOT / "tflite/fastscnn_camvid_int8.tflite", _folder(top, "shipped") / "s.tflite")
    _folder(top, "ledger").joinpath("ledger.json").write_text(json.dumps(_ledger()))
    content = foreign.onnx_to_run(json.dumps(metadata()).encode())
    (_folder(top, "onnx") / "m.onnx").write_bytes(content)
    folder = _folder(top, "checkpoints")
    (folder / "zip.pth").write_bytes(checkpoints.torch_zip())
    (folder / "legacy.pth").write_bytes(checkpoints.torch_legacy())
    (folder / "paddle.pdparams").write_bytes(checkpoints.paddle())
    (folder / "x.safetensors").write_bytes(checkpoints.safetensors())
    (folder / "m.ckpt").write_bytes(foreign.mindspore())
    for folded in (True, False):
        (folder / f"{'folded' if folded else 'named'}.onnx").write_bytes(foreign.onnx(folded))
        (folder / f"{'whole' if folded else 'weights'}.h5").write_bytes(foreign.keras2(folded))
    (folder / "three.weights.h5").write_bytes(foreign.keras3())
    variables = _folder(top, "checkpoints/saved/variables")
    for end, content in zip(("index", "data-00000-of-00001"), foreign.variables(), strict=True):
        (variables / f"variables.{end}").write_bytes(content)
    _archives(top)


def _ledger() -> dict[str, object]:
    row = {"measured": 61.2, "date": "2026-01-02", "model": "m.tflite", "sha256": "0" * 64}
    more = {"split": "val", "size": "1024x2048", "images": 500, "protocol": "one look"}
    rows = {"cityscapes-val": {**row, **more, "version": "0.1.0"}}
    return {"ledger": "fastscnn reproduce", "rows": rows}


def _archives(top: Path) -> None:
    folder, (image, label) = _folder(top, "archives"), _street(0)
    classes = Image.fromarray(np.asarray(label) // 10)
    city = {"leftImg8bit/val/ulm/ulm_000000_000019_leftImg8bit.png": image}
    city["gtFine/val/ulm/ulm_000000_000019_gtFine_labelIds.png"] = label
    camvid = {
        f"x/CamVid/{split}{kind}/0.png": (classes if kind else image) for split, kind in _splits()
    }
    for name, files in (("camvid", camvid), ("city", city)):
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            for path, picture in files.items():
                buffer = io.BytesIO()
                picture.save(buffer, "PNG")
                archive.writestr(path, buffer.getvalue())


def _splits() -> Iterator[tuple[str, str]]:
    return ((split, kind) for split in ("train", "val", "test") for kind in ("", "annot"))


def _keras(top: Path, wanted: Collection[str]) -> None:
    """A small Fast-SCNN as .keras, as .npz, and its quantization-aware twin."""
    import fastscnn_tf as fs
    from fastscnn_tf.quantize.qat_checkpoint import save_qat

    config = fs.FastSCNNConfig(
        num_classes=3, width=0.25, input_size=(64, 64), class_names=CLASSES, class_colors=COLORS
    )
    model = fs.fast_scnn(config)
    fs.save_model(model, _folder(top, "keras") / "k.keras")
    fs.export_weights(model, _folder(top, "weights") / "w.npz")
    if "qat" not in wanted:  # it takes a while
        return
    noise = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    twin = fs.quantize_aware(model, [noise])
    save_qat(twin, _folder(top, "qat") / "q.npz")
