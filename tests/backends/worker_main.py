"""What the processes of `check_workers` run: a worker of the cluster in the environment, or a run.

worker_main.py SETTINGS.json FOLDER [resume]
"""

import json
import signal
import sys
from pathlib import Path

from fastscnn_tf.core.errors import FastSCNNError
from fastscnn_tf.train.distributed.run import run_on_workers
from fastscnn_tf.train.settings import MULTI_WORKER, TrainSettings
from fastscnn_tf.train.trainer import run_training

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    path, folder, *resume = sys.argv[1:]
    settings = TrainSettings.from_dict(json.loads(Path(path).read_text()))
    try:
        run = run_on_workers if settings.strategy == MULTI_WORKER else run_training
        result = run(settings, folder, resume=bool(resume), verbose=0)
        print("finished", result and result.miou)
    except (FastSCNNError, KeyboardInterrupt) as error:
        print(f"fastscnn: {error}", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 130))
