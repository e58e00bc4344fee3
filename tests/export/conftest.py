"""Files of a few operations are made by the helper that the inspection's tests use."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "runtime" / "inspection"))
