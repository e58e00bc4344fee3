"""Mutations of files that this package writes itself, by what they mean."""

from __future__ import annotations

import json
import random
import zlib

from .hostile import OUTSIDE, PRECIOUS
from .trees import mutate_json


def mutate_settings(rng: random.Random, data: bytes) -> bytes:
    """Changes a settings file; often by an option that names a place."""
    if rng.random() < 0.5:
        return mutate_json(rng, data)
    from fastscnn_tf.delegates.device import DeviceSettings

    found = json.loads(data)
    part = rng.choice([*DeviceSettings.PARTS])
    if rng.random() < 0.7:
        found["settings"] |= {
            "accelerator": part,
            "api": rng.choice(("compiled_model", "interpreter")),
        }
    options = DeviceSettings.PARTS[part].options()
    places = [name for name in options if name.endswith(("dir", "path", "file"))]
    name = rng.choice(places if places and rng.random() < 0.7 else [*options])
    values = (
        f"{OUTSIDE}/plugins",
        PRECIOUS,
        f"{OUTSIDE}/new-folder",
        "/dev/zero",
        "\x1b[2J",
        True,
        3,
    )
    found["settings"].setdefault(part, {})[name] = rng.choice(values)
    if part == "npu" and rng.random() < 0.8:
        vendor = rng.choice(("qualcomm", "mediatek"))
        places = dict.fromkeys(
            ("compiler_plugin_dir", "dispatch_library_dir"), f"{OUTSIDE}/plugins"
        )
        found["settings"]["npu"] |= {"vendor": vendor, **places}
    return json.dumps(found).encode()


def mutate_index(rng: random.Random, data: bytes) -> bytes:
    """Changes records.json; often the files that it names."""
    if rng.random() < 0.7:
        return mutate_json(rng, data)
    index = json.loads(data)
    shard = index["splits"]["val"]["shards"][0]
    places = (
        "notes.txt",
        PRECIOUS,
        "../data/dataset.yaml",
        "records.json",
        "/dev/zero",
        ".",
        "",
        5,
    )
    shard["file"] = rng.choice((*places, f"{OUTSIDE}/0.tfrecord", "val\x1b[2J.tfrecord", "a\0b"))
    return json.dumps(index).encode()


def index_again(rng: random.Random, files: dict[str, bytes], path: str) -> None:
    """Notes the shard's size and checksums in records.json, so that the shard itself is read."""
    if rng.random() < 0.15:
        return
    index, shard = json.loads(files["rec/records.json"]), files[path]
    noted = index["splits"]["val"]["shards"][0]
    noted["bytes"] = len(shard)
    ends = [*noted["starts"][1:], len(shard)]
    noted["crc32"] = [zlib.crc32(shard[a:b]) for a, b in zip(noted["starts"], ends, strict=True)]
    files["rec/records.json"] = json.dumps(index).encode()
