"""Compiles files for the GPU alone, one after the other, and says which it took."""

import json
import os
import sys

from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator

report = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # the runtime prints a lot
for path in sys.argv[1:]:
    try:
        taken = CompiledModel.from_file(path, HardwareAccelerator.GPU).is_fully_accelerated()
    except RuntimeError:
        taken = False
    print(json.dumps({"path": path, "taken": bool(taken)}), file=report)
os._exit(0)  # the driver's own end may crash
