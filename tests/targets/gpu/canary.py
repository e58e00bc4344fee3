"""Runs a float32 file on the GPU alone: `python canary.py M.tflite INPUT.npy OUTPUT.npy COUNT`."""

import os
import sys

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator

path, source, target, count = sys.argv[1:]
model = CompiledModel.from_file(path, HardwareAccelerator.GPU)
inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
inputs[0].write(np.load(source))
model.run_by_index(0, inputs, outputs)
np.save(target, outputs[0].read(int(count), np.float32))
os._exit(0)  # the driver's own end may crash
