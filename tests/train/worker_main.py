"""What the processes of `test_distribute` run; each is one worker, or one with two devices.

worker_main.py workers SETTINGS.json FOLDER [resume]     with TF_CONFIG in the environment
worker_main.py mirrored SETTINGS.json FOLDER
"""

import dataclasses
import json
import sys
from pathlib import Path

from fastscnn_tf.core.errors import FastSCNNError
from fastscnn_tf.core.keras_api import tensorflow
from fastscnn_tf.train.distributed.run import run_on_workers
from fastscnn_tf.train.settings import TrainSettings
from fastscnn_tf.train.trainer import run_training


def workers(settings: TrainSettings, folder: str, *resume: str) -> None:
    result = run_on_workers(settings, folder, resume=bool(resume), verbose=0)
    print("finished", result and result.miou)


def mirrored(settings: TrainSettings, folder: str) -> None:
    tf = tensorflow()
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
    run_training(dataclasses.replace(settings, strategy="mirrored"), folder, verbose=0)


if __name__ == "__main__":
    kind, path, *rest = sys.argv[1:]
    settings = TrainSettings.from_dict(json.loads(Path(path).read_text()))
    try:
        {"workers": workers, "mirrored": mirrored}[kind](settings, *rest)
    except FastSCNNError as error:
        print(type(error).__name__, error, file=sys.stderr)
        sys.exit(error.exit_code)
