"""Names for files that hold no weights that can be read, and what to do about each."""

import codecs

from ...core.files.protobuf import Wire, text

# Beginnings of files -> what they are.
_STARTS = (
    (
        b"version https://git-lfs",
        "a pointer of Git LFS, not the file itself: fetch that with git lfs pull",
    ),
    (b"<!doctype html", "a web page saved in the place of the file: download the file itself"),
    (b"<html", "a web page saved in the place of the file: download the file itself"),
    (b"<?xml", "an XML file: give the checkpoint that it belongs to"),
    (b"\x1f\x8b", "packed with gzip: unpack it (gunzip, or tar -xzf) and give what is inside"),
    (b"bzh", "packed with bzip2: unpack it and give what is inside"),
    (b"\xfd7zxz\0", "packed with xz: unpack it and give what is inside"),
    (b"7z\xbc\xaf'\x1c", "a 7z archive: unpack it and give what is inside"),
    (b"rar!", "a RAR archive: unpack it and give what is inside"),
    (
        b"\x12\x01\0\0\0\0\0\0",
        "parameters of MXNet: give the .pth of the same network that pytorchcv has",
    ),
    (b"\x93numpy", "a single array of numpy: expected a checkpoint of all weights"),
    *(
        (start, "an image: expected a checkpoint")
        for start in (b"\x89png", b"\xff\xd8\xff", b"gif8", b"riff", b"ii*\0", b"mm\0*")
    ),
)
_TFLITE = (
    "a .tflite needs no import: predict, evaluate and benchmark take it as it is "
    "(its weights are folded and cannot be trained on)"
)
_SAVED_MODEL = "the graph of a SavedModel: give the folder that it lies in"
_FROZEN = (
    "a frozen graph of TensorFlow: its weights are constants without a layer's name; "
    "give the SavedModel folder or the .h5 that it was made from"
)


def foreign_kind(data: bytes) -> str:
    """What a file is, and what to do; empty for what may be a checkpoint."""
    if not data:
        return "empty: 0 bytes; copy or download it again"
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if data[4:8] == b"TFL3":
        return _TFLITE
    if data[257:262] == b"ustar":
        return "a tar archive: unpack it (tar -xf) and give what is inside"
    if head.startswith(b"{"):
        if b'"weight_map"' in data:
            return "the index of a model in several files: join them and give one .safetensors"
        return "a JSON file: expected the checkpoint beside it"
    if data.startswith(b"\x08\x01\x12"):
        return _SAVED_MODEL
    return _FROZEN if _is_graph(data) else ""


def is_text(data: bytes) -> bool:
    """Whether a file begins with nothing but printable UTF-8 and white space."""
    head = codecs.getincrementaldecoder("utf-8")()  # which leaves out a character that is cut off
    try:
        return all(c.isprintable() or c.isspace() for c in head.decode(data[:4096]))
    except UnicodeDecodeError:
        return False


def _is_graph(data: bytes) -> bool:
    """Whether it begins with a node of a graph: its name, and an operation such as `Const`."""
    wire = Wire(100)
    try:
        number, node = next(wire.fields(memoryview(data)))
        operation = text(wire.message(node)[2][0])
        return number == 1 and operation.isalnum() and operation[0].isupper()
    except (ValueError, LookupError, StopIteration):
        return False
