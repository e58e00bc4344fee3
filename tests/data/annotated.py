"""Examples of annotation formats, made from their definitions, and pixels worked out by hand."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

import fastscnn_tf as fs

SIZE = (40, 60)  # of images as they are stored


def picture(path: Path, size=SIZE, orientation: int | None = None, seed: int = 0) -> Path:
    """An image of noise, which EXIF turns if it is told so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def write_json(path: Path, value) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def png_base64(mask: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


def bitmap_base64(mask: np.ndarray) -> str:
    """As Supervisely packs it."""
    return base64.b64encode(zlib.compress(base64.b64decode(png_base64(mask)))).decode()


def inside(rings, size=SIZE) -> np.ndarray:
    """Pixels whose centres lie in an odd number of rings, one by one."""
    found = np.zeros(size, bool)
    for row in range(size[0]):
        for column in range(size[1]):
            x, y, odd = column + 0.5, row + 0.5, False
            for ring in rings:
                for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
                    if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                        odd = not odd
            found[row, column] = odd
    return found


def runs(flat: np.ndarray) -> list[int]:
    """Run lengths of zeros and ones, zeros first."""
    counts, last = [0], 0
    for value in flat.astype(int).tolist():
        if value != last:
            counts.append(0)
            last = value
        counts[-1] += 1
    return counts


def coco_text(counts: list[int]) -> str:
    """COCO's compressed run lengths, as its C code writes them."""
    text = ""
    for i, count in enumerate(counts):
        x = count - counts[i - 2] if i > 2 else count
        more = True
        while more:
            bits = x & 0x1F
            x >>= 5
            more = x != -1 if bits & 0x10 else x != 0
            text += chr((bits | 0x20 if more else bits) + 48)
    return text


def brush(mask: np.ndarray) -> list[int]:
    """Label Studio's run lengths of an RGBA image of a mask, as its encoder writes them."""
    data = np.repeat(mask.ravel().astype(np.uint8) * 255, 4).tolist()
    bits = f"{len(data):032b}{8 - 1:05b}" + "".join(f"{width - 1:04b}" for width in (3, 4, 8, 16))
    i = 0
    while i < len(data):
        end = i
        while end < len(data) and data[end] == data[i] and end - i < 65536:
            end += 1
        if end - i == 4:  # some as they are, not repeated
            bits += f"0{1:02b}{end - i - 1:04b}" + "".join(f"{v:08b}" for v in data[i:end])
        else:
            bits += f"1{3:02b}{end - i - 1:016b}{data[i]:08b}"
        i = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def converted(source: Path, output: Path, name: str | None = None, **arguments):
    """The report, and every label map by the name of its file."""
    report = fs.convert_dataset(source, output, **arguments)
    labels = {}
    for split in report.splits:
        data = fs.open_dataset("folder", output, split)
        for i in range(len(data)):
            image, label = data.read(i)
            assert image.shape[:2] == label.shape
            labels[Path(data.sample_name(i)).stem] = label
    return report, labels


# One example of each format: a box of `car` at rows 5..14 and columns 10..29, and `road` behind it.
ROAD = [[0, 20], [60, 20], [60, 40], [0, 40]]
CAR = [[10, 5], [30, 5], [30, 25], [10, 25]]


def expected(names, road, car) -> np.ndarray:
    """Background, then road, then car over it."""
    label = np.full(SIZE, names.index("background"), np.uint8)
    label[road] = names.index("road")
    label[car] = names.index("car")
    return label


def labelme(root: Path, image="a_1.jpg", orientation=None, **change) -> None:
    picture(root / image, orientation=orientation)
    shapes = [
        {"label": "road", "points": ROAD, "shape_type": "polygon"},
        {"label": "car", "points": CAR, "shape_type": "polygon"},
    ]
    content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image}
    content |= {"imageData": None, "imageHeight": SIZE[0], "imageWidth": SIZE[1]} | change
    write_json((root / image).with_suffix(".json"), content)


def coco(root: Path, image="a_1.jpg", orientation=None, **change) -> None:
    picture(root / image, orientation=orientation)
    annotations = [
        {
            "id": i,
            "image_id": 7,
            "category_id": i,
            "iscrowd": 0,
            "segmentation": [np.ravel(ring).tolist()],
        }
        for i, ring in ((1, ROAD), (3, CAR))
    ]
    content = {
        "images": [{"id": 7, "file_name": image, "height": SIZE[0], "width": SIZE[1]}],
        "annotations": annotations,
        "categories": [{"id": 3, "name": "car"}, {"id": 1, "name": "road"}],
    }
    write_json(root / "annotations.json", content | change)


def cvat_text(shapes: str, image="a_1.jpg", size=SIZE) -> str:
    labels = "".join(
        f"<label><name>{name}</name><color>{color}</color></label>"
        for name, color in (("road", "#804080"), ("car", "#00008e"))
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version><meta><task>'
        f"<labels>{labels}</labels></task></meta>"
        f'<image id="0" name="{image}" width="{size[1]}" height="{size[0]}">{shapes}</image>'
        "</annotations>"
    )


def cvat_polygon(label: str, ring, z: int) -> str:
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in ring)
    return f'<polygon label="{label}" points="{points}" z_order="{z}"/>'


def cvat(root: Path, image="a_1.jpg", orientation=None) -> None:
    picture(root / "images" / image, orientation=orientation)
    shapes = cvat_polygon("car", CAR, 1) + cvat_polygon("road", ROAD, 0)  # z_order, not the file's
    (root / "annotations.xml").write_text(cvat_text(shapes, image))


def yolo(root: Path, image="a_1.jpg", orientation=None) -> None:
    picture(root / "images" / "train" / image, orientation=orientation)
    lines = [
        " ".join([str(i), *(f"{x / SIZE[1]:.8f} {y / SIZE[0]:.8f}" for x, y in ring)])
        for i, ring in ((1, CAR), (0, ROAD))  # the larger one goes below
    ]
    text = (root / "labels" / "train" / image).with_suffix(".txt")
    text.parent.mkdir(parents=True)
    text.write_text("\n".join(lines))
    (root / "data.yaml").write_text("path: .\ntrain: images/train\nnames: {0: road, 1: car}\n")


def supervisely(root: Path, image="a_1.jpg", orientation=None, **change) -> None:
    picture(root / "ds" / "img" / image, orientation=orientation)
    classes = [{"title": "road", "shape": "polygon", "color": "#804080"}, {"title": "car"}]
    write_json(root / "meta.json", {"classes": classes, "tags": []})
    objects = [
        {
            "classTitle": name,
            "geometryType": "polygon",
            "points": {"exterior": ring, "interior": []},
        }
        for name, ring in (("road", ROAD), ("car", CAR))
    ]
    content = {"size": {"height": SIZE[0], "width": SIZE[1]}, "objects": objects} | change
    write_json(root / "ds" / "ann" / f"{image}.json", content)


def label_studio(root: Path, image="a_1.jpg", orientation=None, results=None) -> None:
    picture(root / image, orientation=orientation)
    if results is None:
        results = [
            {
                "type": "polygonlabels",
                "original_width": SIZE[1],
                "original_height": SIZE[0],
                "value": {
                    "points": [[x * 100 / SIZE[1], y * 100 / SIZE[0]] for x, y in ring],
                    "polygonlabels": [name],
                },
            }
            for name, ring in (("road", ROAD), ("car", CAR))
        ]
    task = {
        "id": 1,
        "data": {"image": f"/data/upload/3/0a1b2c3d-{image}"},
        "annotations": [{"result": results}],
    }
    write_json(root / "export.json", [task])


MAKERS = {
    "labelme": labelme,
    "coco": coco,
    "cvat": cvat,
    "yolo": yolo,
    "supervisely": supervisely,
    "label-studio": label_studio,
}
# Those that draw the outline, too, as the format's own tools do.
OUTLINED = ("labelme", "yolo", "supervisely")
