"""Other people's formats of label maps and polygons, as a `folder` data set.

A new format is a module with a `FORMAT` (see `Format` in `source.py`), or for masks beside images a
row in `mask_formats.py`, and its name below:

- `recognise(folder)` looks at names and first bytes, never at everything, and says in a few words
  what it saw, or returns None;
- `open(folder)` reads the annotations into `Annotations`: classes, items and a `read_label`. Files
  are found through `SourceFolder`, which keeps paths inside the folder;
- `read_label(item, image, notes)` runs in several threads, or processes, which it and the items
  are pickled for: no lambda, and nothing large in an item. It returns the label map of the upright
  image: what was annotated on the stored pixels goes through `image.turn`;
- what is left out or guessed goes into `notes`; what cannot be used is a `DataError` of one line.

Splitting, choosing classes, copying images and writing are the same for all: `convert_dataset.py`.
"""

# Formats by name, as on the command line. Those of masks are rows in `mask_formats.py`, another has
# a module with its name with _ for -, and a `FORMAT` in it.
MASKS = (
    *("roboflow", "voc", "colors", "camvid-kaggle", "mapillary", "mapillary-1.2", "bdd100k"),
    *("kitti", "idd", "ade20k", "carla", "carla-0.9.9", "carla-0.9.10", "carla-0.9.14"),
)
FORMATS = (*("labelme", "coco", "cvat", "yolo", "supervisely", "label-studio"), *MASKS)
