"""What the processes of `check_workers` run; each is a worker of the cluster in the environment.

worker_main.py SETTINGS.json FOLDER [resume]
"""

import json
import sys
from pathlib import Path

from fastscnn_tf.core.errors import FastSCNNError
from fastscnn_tf.train.distributed.run import run_on_workers
from fastscnn_tf.train.settings import TrainSettings

if __name__ == "__main__":
    path, folder, *resume = sys.argv[1:]
    settings = TrainSettings.from_dict(json.loads(Path(path).read_text()))
    try:
        result = run_on_workers(settings, folder, resume=bool(resume), verbose=0)
        print("finished", result and result.miou)
    except FastSCNNError as error:
        print(f"fastscnn: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
