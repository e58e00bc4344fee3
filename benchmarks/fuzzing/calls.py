"""Functions of the library that no command reaches quickly, on files named by arguments."""

from __future__ import annotations


def read_checkpoint(path: str) -> None:
    """Arrays of a checkpoint of another framework."""
    from fastscnn_tf.model.checkpoints.checkpoint_file import read_checkpoint
    from fastscnn_tf.model.checkpoints.onnx_order import named_by_order

    tensors = read_checkpoint(path)
    if not path.endswith("folded.onnx") or len(tensors) > 20:  # two convolutions are no network
        named_by_order(tensors, path)


def read_logits(folder: str, data: str) -> None:
    """All logits of a teacher's folder."""
    from fastscnn_tf.data.datasets.registry import open_dataset
    from fastscnn_tf.train.distill.saved_logits import SavedLogits

    dataset = open_dataset("folder", data, "val")
    logits = SavedLogits(folder, dataset)
    for index in range(len(dataset)):
        logits.read(index)


def recipe(path: str) -> None:
    """The settings of a run by a recipe.json."""
    import fastscnn_tf as fs

    fs.train_settings(path, dataset="toy", data_dir=None, size=(352, 480))


def prepare(archive: str) -> None:
    """A data set from an archive of one pair a split: CamVid's or Cityscapes', by its name."""
    from fastscnn_tf.data.prepare.arrange_cityscapes import prepare_cityscapes
    from fastscnn_tf.data.prepare.fetch_camvid import SplitContent, prepare_camvid

    if archive.startswith("camvid"):
        content = dict.fromkeys(("train", "val", "test"), SplitContent(1))
        prepare_camvid("out", archive, content=content)
    else:
        counts = {kind: {"val": 1} for kind in ("leftImg8bit", "gtFine", "gtCoarse")}
        prepare_cityscapes("out", [archive], counts=counts)
