"""Fast-SCNN for phones, Raspberry Pis and embedded CPUs: train, quantize, convert, score.

Importing this package is cheap and brings in no TensorFlow; every name below loads on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .core.version import __version__

_NAMES = {
    # the network
    "FastSCNNConfig": "core.config",
    "fast_scnn": "model.fast_scnn",
    "fast_scnn_classifier": "model.classifier",
    "resize_model": "model.fast_scnn",
    "preprocess_input": "model.preprocess",
    "complexity": "model.complexity",
    "summary": "model.summary",
    "prune": "model.prune",
    "import_checkpoint": "model.checkpoints.import_checkpoint",
    "export_weights": "model.checkpoints.weights_file",
    # data
    "load_dataset": "data.pipeline",
    "load_pydataset": "data.numpy_pipeline",
    "load_records": "data.pipeline",
    "open_dataset": "data.datasets.registry",
    "Augmentation": "data.augment.augmentation",
    "check_dataset": "data.check.dataset_check",
    "convert_dataset": "data.convert.convert_dataset",
    # training
    "segmentation_loss": "train.losses.segmentation_loss",
    "segmentation_losses": "train.losses.segmentation_loss",
    "SegmentationLoss": "train.losses.segmentation_loss",
    "mean_iou": "train.metrics",
    "TrainSettings": "train.settings",
    "train_settings": "train.recipes",
    "run_training": "train.trainer",
    "find_learning_rate": "train.lr_finder",
    "distilling_model": "train.distill.distillation",
    "pseudo_label": "evaluation.pseudo_labels",
    "run_search": "train.search.hyper_search",
    "PretrainSettings": "train.pretrain",
    "run_pretraining": "train.pretrain",
    # quantization
    "quantize_aware": "quantize.quantize_aware",
    "freeze_ranges": "quantize.freeze_ranges",
    "QuantizeSettings": "quantize.fine_tune",
    "run_quantization": "quantize.fine_tune",
    "quantization_report": "reports.quantization_reports",
    # files
    "load_model": "evaluation.evaluate",
    "load_predictor": "evaluation.evaluate",
    "save_model": "evaluation.saving",
    "ExportOptions": "export.export_tflite",
    "export_tflite": "export.export_tflite",
    "export_onnx": "export.export_onnx",
    "tflite_to_onnx": "export.export_onnx",
    "write_c_array": "export.c_array",
    "compile_tflite": "export.vela",
    "model_card": "reports.card",
    "staged": "core.files.remote_outputs",
    # what travels with a file
    "DeviceSettings": "delegates.device",
    "CpuSettings": "delegates.cpu",
    "GpuSettings": "delegates.gpu",
    "NnapiSettings": "delegates.nnapi",
    "NpuSettings": "delegates.npu",
    "write_settings": "delegates.settings_file",
    "kotlin_source": "delegates.kotlin",
    "benchmark_command": "delegates.benchmark_flags",
    "target": "delegates.targets",
    # on a device: no TensorFlow
    "Segmenter": "runtime.segmenter",
    "overlay": "core.images.visualize",
    "read_image": "core.images.image_file",
    "fitted": "runtime.fit",
    "FrameLabels": "stream.temporal",
    "logit_strips": "runtime.postprocess",
    "upsampled_labels": "runtime.upsample",
    "benchmark": "runtime.benchmark",
    "compare_runtimes": "runtime.runtime_comparison",
    "inspect": "inspection.inspect_tflite",
    "markdown_side_by_side": "inspection.side_by_side",
    "evaluate": "evaluation.evaluate",
    "Fleet": "runtime.fleet",
    "Views": "scoring.views",
    "confusion_matrix": "core.scores.confusion",
    "scores": "core.scores.confusion",
    "argmax_agreement": "evaluation.agreement",
    "compare_models": "evaluation.model_comparison",
    "size_table": "evaluation.size_comparison",
    "watch": "stream.watch",
    "open_frames": "stream.capture",
    "reproduce": "evaluation.reproduction",
    "FastSCNNError": "core.errors",
}

__all__ = ["__version__", *sorted(_NAMES)]

if TYPE_CHECKING:
    from .core.config import FastSCNNConfig as FastSCNNConfig
    from .core.errors import FastSCNNError as FastSCNNError
    from .core.files.remote_outputs import staged as staged
    from .core.images.image_file import read_image as read_image
    from .core.images.visualize import overlay as overlay
    from .core.scores.confusion import confusion_matrix as confusion_matrix
    from .core.scores.confusion import scores as scores
    from .data.augment.augmentation import Augmentation as Augmentation
    from .data.check.dataset_check import check_dataset as check_dataset
    from .data.convert.convert_dataset import convert_dataset as convert_dataset
    from .data.datasets.registry import open_dataset as open_dataset
    from .data.numpy_pipeline import load_pydataset as load_pydataset
    from .data.pipeline import load_dataset as load_dataset
    from .data.pipeline import load_records as load_records
    from .delegates.benchmark_flags import benchmark_command as benchmark_command
    from .delegates.cpu import CpuSettings as CpuSettings
    from .delegates.device import DeviceSettings as DeviceSettings
    from .delegates.gpu import GpuSettings as GpuSettings
    from .delegates.kotlin import kotlin_source as kotlin_source
    from .delegates.nnapi import NnapiSettings as NnapiSettings
    from .delegates.npu import NpuSettings as NpuSettings
    from .delegates.settings_file import write_settings as write_settings
    from .delegates.targets import target as target
    from .evaluation.agreement import argmax_agreement as argmax_agreement
    from .evaluation.evaluate import evaluate as evaluate
    from .evaluation.evaluate import load_model as load_model
    from .evaluation.evaluate import load_predictor as load_predictor
    from .evaluation.model_comparison import compare_models as compare_models
    from .evaluation.pseudo_labels import pseudo_label as pseudo_label
    from .evaluation.reproduction import reproduce as reproduce
    from .evaluation.saving import save_model as save_model
    from .evaluation.size_comparison import size_table as size_table
    from .export.c_array import write_c_array as write_c_array
    from .export.export_onnx import export_onnx as export_onnx
    from .export.export_onnx import tflite_to_onnx as tflite_to_onnx
    from .export.export_tflite import ExportOptions as ExportOptions
    from .export.export_tflite import export_tflite as export_tflite
    from .export.vela import compile_tflite as compile_tflite
    from .inspection.inspect_tflite import inspect as inspect
    from .inspection.side_by_side import markdown_side_by_side as markdown_side_by_side
    from .model.checkpoints.import_checkpoint import import_checkpoint as import_checkpoint
    from .model.checkpoints.weights_file import export_weights as export_weights
    from .model.classifier import fast_scnn_classifier as fast_scnn_classifier
    from .model.complexity import complexity as complexity
    from .model.fast_scnn import fast_scnn as fast_scnn
    from .model.fast_scnn import resize_model as resize_model
    from .model.preprocess import preprocess_input as preprocess_input
    from .model.prune import prune as prune
    from .model.summary import summary as summary
    from .quantize.fine_tune import QuantizeSettings as QuantizeSettings
    from .quantize.fine_tune import run_quantization as run_quantization
    from .quantize.freeze_ranges import freeze_ranges as freeze_ranges
    from .quantize.quantize_aware import quantize_aware as quantize_aware
    from .reports.card import model_card as model_card
    from .reports.quantization_reports import quantization_report as quantization_report
    from .runtime.benchmark import benchmark as benchmark
    from .runtime.fit import fitted as fitted
    from .runtime.fleet import Fleet as Fleet
    from .runtime.postprocess import logit_strips as logit_strips
    from .runtime.runtime_comparison import compare_runtimes as compare_runtimes
    from .runtime.segmenter import Segmenter as Segmenter
    from .runtime.upsample import upsampled_labels as upsampled_labels
    from .scoring.views import Views as Views
    from .stream.capture import open_frames as open_frames
    from .stream.temporal import FrameLabels as FrameLabels
    from .stream.watch import watch as watch
    from .train.distill.distillation import distilling_model as distilling_model
    from .train.losses.segmentation_loss import SegmentationLoss as SegmentationLoss
    from .train.losses.segmentation_loss import segmentation_loss as segmentation_loss
    from .train.losses.segmentation_loss import segmentation_losses as segmentation_losses
    from .train.lr_finder import find_learning_rate as find_learning_rate
    from .train.metrics import mean_iou as mean_iou
    from .train.pretrain import PretrainSettings as PretrainSettings
    from .train.pretrain import run_pretraining as run_pretraining
    from .train.recipes import train_settings as train_settings
    from .train.search.hyper_search import run_search as run_search
    from .train.settings import TrainSettings as TrainSettings
    from .train.trainer import run_training as run_training
else:  # to a type checker a name that is not here is a mistake

    def __getattr__(name: str) -> object:
        if name not in _NAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
