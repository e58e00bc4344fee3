"""What the processes of `check_workers` run: a worker of the cluster in the environment, or a run.

worker_main.py SETTINGS.json FOLDER [resume]
worker_main.py

Without arguments it imports for all what a worker needs, and forks one for each order on its
standard input; JAX has computed nothing by then and started no threads. SILENT_SECONDS in the
environment is after how long a silent worker counts as gone.
"""

import json
import os
import signal
import sys
from pathlib import Path
from unittest import mock

from fastscnn_tf.core.errors import FastSCNNError
from fastscnn_tf.core.keras_api import keras3
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


def next_order():
    """The arguments of an order, in a process forked for it; the first one ends with its input.

    Orders are lines of JSON. To one that starts a worker the answer is its number, to one that
    waits for a worker's end (`wait`: its number) the exit code, or minus the signal; until then it
    is a zombie, so that nobody else has its number.
    """
    keras3()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            print(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1]), flush=True)
        elif pid := os.fork():
            print(pid, flush=True)
        else:
            break
    else:
        sys.exit()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, path in enumerate(order["said"], 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    return order["arguments"]


if __name__ == "__main__":
    path, folder, *resume = sys.argv[1:] or next_order()
    keep_compiled()
    steps = compiled_steps()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    cluster.SILENT_SECONDS = int(os.environ.get("SILENT_SECONDS", cluster.SILENT_SECONDS))
    settings = TrainSettings.from_dict(json.loads(Path(path).read_text()))
    try:
        run = run_on_workers if settings.strategy == MULTI_WORKER else run_training
        result = run(settings, folder, resume=bool(resume), verbose=0)
        print(f"compiled {len(steps)}\nfinished", result and result.miou)
    except (FastSCNNError, KeyboardInterrupt) as error:
        print(f"fastscnn: {error}", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 130))
