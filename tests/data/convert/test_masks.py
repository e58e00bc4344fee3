"""Formats that store masks: every example becomes exactly what its definition says."""

import numpy as np
import pytest
from mask_examples import EXAMPLES
from PIL import Image

from fastscnn_tf.data.convert.mask_formats import MASK_FORMATS
from fastscnn_tf.data.convert.source import Notes, Picture
from fastscnn_tf.data.convert.source_folder import SourceFolder

FORMATS = {each.name: each for each in MASK_FORMATS}
ASKED = {"carla-0.9.10": "carla", "carla-0.9.14": "carla"}  # they are told apart by the user


def example(name, root):
    form, make = EXAMPLES[name]
    made = make()
    made.write(root)
    return FORMATS[form], made


def read(source):
    """Split -> name -> label map."""
    found = {}
    for item in source.items:
        with Image.open(item.image) as image:
            picture = Picture(image.size[::-1])
        label = source.read_label(item, picture, Notes())
        found.setdefault(item.split or "", {})[item.name] = label
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_becomes_what_its_definition_says(name, tmp_path):
    form, made = example(name, tmp_path)
    source = form.open(SourceFolder(tmp_path))
    assert list(source.classes) == made.classes
    found = read(source)
    assert {split: sorted(items) for split, items in found.items()} == {
        split: sorted(names) for split, names in made.splits.items()
    }
    for items in found.values():
        for label in items.values():
            np.testing.assert_array_equal(label, made.label())


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_is_recognised_by_its_content_and_no_other_is(name, tmp_path):
    form, _ = example(name, tmp_path)
    seen = [each.name for each in MASK_FORMATS if each.recognise(SourceFolder(tmp_path))]
    assert seen == [ASKED.get(form.name, form.name)]
