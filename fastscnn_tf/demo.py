"""`run_demo`: the whole story on toy streets, from training to a scored int8 .tflite."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .core.aliases import StrPath
from .core.console import echo
from .core.files import check_output_folder, write_json
from .core.sizes import Size

SIZE: Size = (128, 224)
TRAIN = {"epochs": 12, "batch_size": 8, "learning_rate": 0.08, "bn_momentum": 0.9}
FINE_TUNE = {"epochs": 1, "batch_size": 8, "learning_rate": 0.002}
CALIBRATION_IMAGES = 100
FILES = {  # file -> (recipe, outputs)
    "float32.tflite": ("float32", "logits"),
    "float16.tflite": ("float16", "logits"),
    "int8_ptq.tflite": ("int8", "logits"),
    "int8_qat.tflite": ("int8-qat", "logits"),
    "int8_qat_labels.tflite": ("int8-qat", "labels"),
}


def run_demo(
    folder: StrPath,
    force: bool = False,
    verbose: int = 2,
    say: Callable[[str], None] = echo,
    epochs: int | None = None,
) -> dict[str, Any]:
    """Trains, quantizes, exports and scores on toy streets.

    Args:
        folder: gets the runs, the .tflite files, `summary.json` and `report.html`.
        force: start anew in a folder that is not empty.
        verbose: as in `model.fit`.
        say: prints a line of progress.
        epochs: training epochs; fewer for a quick look.

    Returns:
        What `summary.json` holds.

    Raises:
        OutputError: the folder is in use, or cannot be written.
    """
    from .agreement import agreement
    from .data.pipeline import batches
    from .data.registry import open_dataset
    from .demo_report import write_report
    from .evaluation import evaluate, load_model
    from .export.export import export_tflite
    from .keras_api import tensorflow
    from .quantize.fine_tune import QuantizeSettings, run_quantization
    from .train.settings import TrainSettings
    from .train.trainer import run_training

    tensorflow()  # says at once what is not installed
    start = time.perf_counter()
    folder = check_output_folder(folder, force)
    train = {**TRAIN, "epochs": epochs or TRAIN["epochs"]}
    every = max(1, train["epochs"] // 2)

    say(f"1/4 training on 400 toy streets of {SIZE[0]}x{SIZE[1]}, epochs: {train['epochs']}")
    settings = TrainSettings(
        "toy",
        None,
        SIZE,
        augment="gentle",
        validate_every=int(every),
        **train,  # type: ignore[arg-type]
    )
    trained = run_training(settings, folder / "train", force=force, verbose=verbose)

    say("2/4 quantization-aware fine-tuning")
    tuned = run_quantization(
        QuantizeSettings(
            str(trained.best),
            "toy",
            None,
            **FINE_TUNE,  # type: ignore[arg-type]
        ),
        folder / "qat",
        force=force,
        verbose=verbose,
    )

    say("3/4 exporting and checking the .tflite files")
    float_model, qat_model = load_model(trained.best), load_model(tuned.best)
    images = batches(open_dataset("toy", split="train", size=SIZE), float_model.config)
    for name, (recipe, outputs) in FILES.items():
        export_tflite(
            qat_model if recipe == "int8-qat" else float_model,
            folder / name,
            recipe,
            outputs,
            calibration=images.take(CALIBRATION_IMAGES) if recipe == "int8" else None,
            force=force,
        )

    say("4/4 scoring every file on held-out toy streets")
    scored = {name: evaluate(folder / name, "toy", split="val") for name in FILES}
    data = open_dataset("toy", split="val", size=SIZE)
    shares = agreement(
        float_model, qat_model, folder / "float32.tflite", folder / "int8_qat.tflite", data
    )
    summary = {
        "float_miou": evaluate(float_model, "toy", split="val").miou,
        "int8_ptq_miou": scored["int8_ptq.tflite"].miou,
        "int8_qat_miou": scored["int8_qat.tflite"].miou,
        "agreement": shares.to_dict(),
        "class_iou": scored["int8_qat.tflite"].class_iou,
        "miou": {name: result.miou for name, result in scored.items()},
        "sizes_bytes": {name: (folder / name).stat().st_size for name in FILES},
        "latency_ms": {name: result.latency_ms for name, result in scored.items()},
        "seconds": time.perf_counter() - start,
    }
    write_json(folder / "summary.json", summary)
    write_report(folder, summary, data)
    return summary


def table(summary: dict[str, Any]) -> str:
    """The summary as a table for people."""
    lines = [f"{'file':<24}{'mIoU':>8}{'kB':>8}{'ms':>8}"]
    for name, miou in summary["miou"].items():
        size, latency = summary["sizes_bytes"][name], summary["latency_ms"][name]["median"]
        lines.append(f"{name:<24}{miou * 100:>8.2f}{size / 1000:>8.0f}{latency:>8.2f}")
    lines.append(f"{'float Keras model':<24}{summary['float_miou'] * 100:>8.2f}")
    names = {
        "float_tflite": "float Keras / float32 .tflite",
        "qat_tflite": "QAT Keras / QAT .tflite",
        "float_qat": "float / QAT",
    }
    for key, name in names.items():
        lines.append(f"argmax agreement {name}: {summary['agreement'][key] * 100:.3f} %")
    return "\n".join(lines)
