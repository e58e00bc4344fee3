"""Fast-SCNN for phones, Raspberry Pis and embedded CPUs: train, quantize, convert, score.

Importing this package is cheap and brings in no TensorFlow; every name below loads on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .core.version import __version__

_NAMES = {
    # the network
    "FastSCNNConfig": "core.config",
    "fast_scnn": "model.fast_scnn",
    "fast_scnn_classifier": "model.classifier",
    "resize_model": "model.fast_scnn",
    "complexity": "model.complexity",
    "summary": "model.summary",
    "import_checkpoint": "model.import_checkpoint",
    "export_weights": "model.weights_file",
    # data
    "load_dataset": "data.pipeline",
    "load_pydataset": "data.numpy_pipeline",
    "load_records": "data.load_records",
    "open_dataset": "data.registry",
    "Augmentation": "data.augment",
    "check_dataset": "data.check",
    # training
    "segmentation_loss": "train.losses",
    "segmentation_losses": "train.losses",
    "SegmentationLoss": "train.losses",
    "mean_iou": "train.metrics",
    "TrainSettings": "train.settings",
    "train_settings": "train.recipes",
    "run_training": "train.trainer",
    "find_learning_rate": "train.lr_finder",
    "distilling_model": "train.distill",
    "pseudo_label": "pseudo_labels",
    "run_search": "train.search",
    "PretrainSettings": "train.pretrain",
    "run_pretraining": "train.pretrain",
    # quantization
    "quantize_aware": "quantize.quantize_aware",
    "freeze_ranges": "quantize.freeze_ranges",
    "QuantizeSettings": "quantize.fine_tune",
    "run_quantization": "quantize.fine_tune",
    "quantization_report": "quantization_reports",
    # files
    "load_model": "evaluation",
    "save_model": "saving",
    "export_tflite": "export.export",
    "model_card": "card",
    # what travels with a file
    "DeviceSettings": "core.delegates.device",
    "CpuSettings": "core.delegates.cpu",
    "GpuSettings": "core.delegates.gpu",
    "NnapiSettings": "core.delegates.nnapi",
    "NpuSettings": "core.delegates.npu",
    "write_settings": "core.delegates.settings_file",
    "kotlin_source": "core.delegates.kotlin",
    "benchmark_command": "core.delegates.benchmark_flags",
    # on a device: no TensorFlow
    "Segmenter": "runtime.segmenter",
    "overlay": "runtime.visualize",
    "benchmark": "runtime.benchmark",
    "inspect": "runtime.inspect.inspection",
    "evaluate": "evaluation",
    "argmax_agreement": "agreement",
    "compare_models": "model_comparison",
    "size_table": "size_comparison",
    "watch": "runtime.watch",
    "open_frames": "runtime.capture",
    "reproduce": "reproduction",
    "FastSCNNError": "core.errors",
}

__all__ = ["__version__", *sorted(_NAMES)]

if TYPE_CHECKING:
    from .agreement import argmax_agreement as argmax_agreement
    from .core.config import FastSCNNConfig as FastSCNNConfig
    from .core.delegates.cpu import CpuSettings as CpuSettings
    from .core.delegates.device import DeviceSettings as DeviceSettings
    from .core.delegates.gpu import GpuSettings as GpuSettings
    from .core.delegates.nnapi import NnapiSettings as NnapiSettings
    from .core.delegates.npu import NpuSettings as NpuSettings
    from .core.errors import FastSCNNError as FastSCNNError
    from .data.check import check_dataset as check_dataset
    from .data.registry import open_dataset as open_dataset
    from .evaluation import evaluate as evaluate
    from .evaluation import load_model as load_model
    from .reproduction import reproduce as reproduce
    from .runtime.benchmark import benchmark as benchmark
    from .runtime.inspect.inspection import inspect as inspect
    from .runtime.segmenter import Segmenter as Segmenter
    from .runtime.visualize import overlay as overlay


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
