"""Runs the `main` of an example: `python run_example.py _RUNTIME.so EXAMPLE.so <picture >labels`.

The package's library wants Python's symbols, which only a Python has.
"""

import ctypes
import sys

ctypes.CDLL(sys.argv[1], ctypes.RTLD_GLOBAL)
sys.exit(ctypes.CDLL(sys.argv[2]).main())
