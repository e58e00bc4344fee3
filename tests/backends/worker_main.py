"""What the processes of `check_workers` run: a worker of the cluster in the environment, or a run.

worker_main.py SETTINGS.json FOLDER [resume]

SILENT_SECONDS in the environment is after how long a silent worker counts as gone.
"""

import json
import os
import signal
import sys
from pathlib import Path
from unittest import mock

from fastscnn_tf.core.errors import FastSCNNError
from fastscnn_tf.train.distributed import cluster
from fastscnn_tf.train.distributed.run import run_on_workers
from fastscnn_tf.train.settings import MULTI_WORKER, TrainSettings
from fastscnn_tf.train.trainer import run_training


def keep_compiled():
    """Has every worker keep what it compiled, as JAX lets worker 0 do: theirs are different."""
    from jax._src import compiler, distributed

    write = compiler._cache_write

    def write_as_first(*arguments):
        with mock.patch.object(distributed.global_state, "process_id", 0):
            write(*arguments)

    compiler._cache_write = write_as_first


def compiled_steps():
    """A list that gets an entry whenever JAX compiles the training step, or reads it compiled."""
    from jax import monitoring

    steps = []

    def note(event, seconds, fun_name="", **more):
        if event.endswith("/backend_compile_duration") and "train_step" in fun_name:
            steps.append(seconds)

    monitoring.register_event_duration_secs_listener(note)
    return steps


if __name__ == "__main__":
    keep_compiled()
    steps = compiled_steps()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    cluster.SILENT_SECONDS = int(os.environ.get("SILENT_SECONDS", cluster.SILENT_SECONDS))
    path, folder, *resume = sys.argv[1:]
    settings = TrainSettings.from_dict(json.loads(Path(path).read_text()))
    try:
        run = run_on_workers if settings.strategy == MULTI_WORKER else run_training
        result = run(settings, folder, resume=bool(resume), verbose=0)
        print(f"compiled {len(steps)}\nfinished", result and result.miou)
    except (FastSCNNError, KeyboardInterrupt) as error:
        print(f"fastscnn: {error}", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 130))
