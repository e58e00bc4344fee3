"""Scores of cityscapesScripts for a folder of results, as JSON: the reference of our scores.

Runs in an environment of its own (`make cityscapes`): python reference.py GT_FOLDER RESULTS
"""

import importlib
import json
import os
import sys
from pathlib import Path

truth_folder, results = map(Path, sys.argv[1:])
os.environ["CITYSCAPES_RESULTS"] = str(results)  # read when it is imported
program = importlib.import_module("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
program.args.evalInstLevelScore = True
program.args.JSONOutput = False
program.args.quiet = True
truths = sorted(map(str, truth_folder.glob("*/*_gtFine_labelIds.png")))
predictions = [program.getPrediction(program.args, truth) for truth in truths]
print(json.dumps(program.evaluateImgLists(predictions, truths, program.args)))
