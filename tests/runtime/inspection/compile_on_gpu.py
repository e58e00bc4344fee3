"""Which files the GPU alone takes, asked in processes that the driver may end."""

import json
import os
import subprocess
import sys


def compiled_on_gpu(paths, environment=None):
    """path -> whether the GPU alone takes the file; a file that ends the process is not taken."""
    answers = {}
    while waiting := [path for path in paths if path not in answers]:
        command = [sys.executable, __file__, *waiting]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        answers |= {line["path"]: line["taken"] for line in lines}
        if done.returncode:
            answers[next(path for path in waiting if path not in answers)] = False
    return answers


def main(paths):
    """Compiles files one after the other and prints which were taken."""
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator

    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # the runtime prints a lot
    for path in paths:
        try:
            taken = CompiledModel.from_file(path, HardwareAccelerator.GPU).is_fully_accelerated()
        except RuntimeError:
            taken = False
        print(json.dumps({"path": path, "taken": bool(taken)}), file=report)
    os._exit(0)  # the driver's own end may crash


if __name__ == "__main__":
    main(sys.argv[1:])
