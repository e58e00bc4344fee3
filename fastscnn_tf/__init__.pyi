"""Every public name and where it is: `__init__.py` reads it from here, as type checkers do."""

from .core.version import __version__ as __version__

# the network
from .core.config import FastSCNNConfig as FastSCNNConfig
from .model.fast_scnn import fast_scnn as fast_scnn
from .model.classifier import fast_scnn_classifier as fast_scnn_classifier
from .model.fast_scnn import resize_model as resize_model
from .model.preprocess import preprocess_input as preprocess_input
from .model.complexity import complexity as complexity
from .model.summary import summary as summary
from .model.prune import prune as prune
from .model.checkpoints.import_checkpoint import import_checkpoint as import_checkpoint
from .model.checkpoints.weights_file import export_weights as export_weights

# data
from .data.pipeline import load_dataset as load_dataset
from .data.numpy_pipeline import load_pydataset as load_pydataset
from .data.pipeline import load_records as load_records
from .data.datasets.registry import open_dataset as open_dataset
from .data.augment.augmentation import Augmentation as Augmentation
from .data.check.dataset_check import check_dataset as check_dataset
from .data.convert.convert_dataset import convert_dataset as convert_dataset

# training
from .train.losses.segmentation_loss import segmentation_loss as segmentation_loss
from .train.losses.segmentation_loss import segmentation_losses as segmentation_losses
from .train.losses.segmentation_loss import SegmentationLoss as SegmentationLoss
from .train.metrics import mean_iou as mean_iou
from .train.settings import TrainSettings as TrainSettings
from .train.recipes import train_settings as train_settings
from .train.trainer import run_training as run_training
from .train.lr_finder import find_learning_rate as find_learning_rate
from .train.distill.distillation import distilling_model as distilling_model
from .evaluation.pseudo_labels import pseudo_label as pseudo_label
from .train.search.hyper_search import run_search as run_search
from .train.pretrain import PretrainSettings as PretrainSettings
from .train.pretrain import run_pretraining as run_pretraining

# quantization
from .quantize.quantize_aware import quantize_aware as quantize_aware
from .quantize.freeze_ranges import freeze_ranges as freeze_ranges
from .quantize.fine_tune import QuantizeSettings as QuantizeSettings
from .quantize.fine_tune import run_quantization as run_quantization
from .reports.quantization_reports import quantization_report as quantization_report

# files
from .evaluation.evaluate import load_model as load_model
from .evaluation.evaluate import load_predictor as load_predictor
from .evaluation.saving import save_model as save_model
from .export.export_tflite import ExportOptions as ExportOptions
from .export.export_tflite import export_tflite as export_tflite
from .export.export_onnx import export_onnx as export_onnx
from .export.export_onnx import tflite_to_onnx as tflite_to_onnx
from .export.c_array import write_c_array as write_c_array
from .export.vela import compile_tflite as compile_tflite
from .reports.card import model_card as model_card
from .core.files.remote_outputs import staged as staged

# what travels with a file
from .delegates.device import DeviceSettings as DeviceSettings
from .delegates.cpu import CpuSettings as CpuSettings
from .delegates.gpu import GpuSettings as GpuSettings
from .delegates.nnapi import NnapiSettings as NnapiSettings
from .delegates.npu import NpuSettings as NpuSettings
from .delegates.settings_file import write_settings as write_settings
from .delegates.kotlin import kotlin_source as kotlin_source
from .delegates.benchmark_flags import benchmark_command as benchmark_command
from .delegates.targets import target as target

# on a device: no TensorFlow
from .runtime.segmenter import Segmenter as Segmenter
from .core.images.visualize import overlay as overlay
from .core.images.image_file import read_image as read_image
from .runtime.fit import fitted as fitted
from .stream.temporal import FrameLabels as FrameLabels
from .runtime.postprocess import logit_strips as logit_strips
from .runtime.upsample import upsampled_labels as upsampled_labels
from .runtime.benchmark import benchmark as benchmark
from .runtime.runtime_comparison import compare_runtimes as compare_runtimes
from .inspection.inspect_tflite import inspect as inspect
from .inspection.side_by_side import markdown_side_by_side as markdown_side_by_side
from .evaluation.evaluate import evaluate as evaluate
from .runtime.fleet import Fleet as Fleet
from .scoring.views import Views as Views
from .core.scores.confusion import confusion_matrix as confusion_matrix
from .core.scores.confusion import scores as scores
from .evaluation.agreement import argmax_agreement as argmax_agreement
from .evaluation.model_comparison import compare_models as compare_models
from .evaluation.size_comparison import size_table as size_table
from .stream.watch import watch as watch
from .stream.capture import open_frames as open_frames
from .evaluation.reproduction import reproduce as reproduce
from .core.errors import FastSCNNError as FastSCNNError
