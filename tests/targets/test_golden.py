"""This machine's int8 label maps are the committed ones, which the targets are held to."""

import json
import os

from golden import COMMAND, FILE, computed, read_golden


def test_int8_is_golden_on_this_machine(model_files, street_files, label_maps):
    found = computed(model_files["int8"], street_files, label_maps["int8"])
    if os.environ.get("FASTSCNN_WRITE_GOLDEN"):
        FILE.write_text(json.dumps(found, indent=2) + "\n")
    golden = read_golden(model_files["int8"], street_files)
    assert found == golden, f"int8 computes something else here; if that is meant: {COMMAND}"
