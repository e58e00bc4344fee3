"""The formats by name, and telling them apart by what a folder holds."""

import importlib

import msgspec

from ...core.arguments import check_name
from ...core.errors import DataError
from . import FORMATS, MASKS
from .mask_formats import MASK_FORMATS, left_over
from .source import Format
from .source_folder import SAMPLED, SourceFolder

AUTO = "auto"


def load_format(name: str) -> Format:
    """A format of `FORMATS`, by its name."""
    if name in MASKS:
        return next(each for each in MASK_FORMATS if each.name == name)
    module = importlib.import_module(f"{__package__}.{name.replace('-', '_')}")
    return module.FORMAT


def find_format(name: str, folder: SourceFolder) -> tuple[Format, str]:
    """The format of a name, or the one that fits a folder; and what was seen.

    Raises:
        ConfigError: there is no such format.
        DataError: none fits, or several do.
    """
    if name != AUTO:
        return load_format(check_name("format", name, (AUTO, *FORMATS))), "as given"
    formats = [load_format(each) for each in FORMATS if not (folder.given and each in MASKS)]
    seen = {each: reason for each in formats if (reason := each.recognise(folder))}
    if len(seen) == 1:
        return next(iter(seen.items()))
    if not seen and "dataset.yaml" in ([folder.given] if folder.given else folder.files):
        raise DataError(
            f"{folder.root}: dataset.yaml is there: a data set of the kind that is written here: "
            "use it with --dataset folder, or say what else it is with --from NAME"
        )
    if not seen and not folder.given and (reason := left_over(folder)):
        return load_format("colors"), reason
    if not seen:
        for name in folder.ending(".json")[:SAMPLED]:
            if name not in folder.json_keys:
                folder.json(name, msgspec.Raw)  # says what is wrong with it
        if folder.given:
            raise DataError(
                f"{folder.path(folder.given)}: no annotation file that is recognised, such as a "
                "JSON of COCO, an XML of CVAT or a YAML of YOLO; masks are read from a folder"
            )
        raise DataError(
            f"{folder.root}: no format is recognised: say which with --from NAME, one of "
            f"{', '.join(FORMATS)}; masks are looked for in a folder masks or labels beside images"
        )
    found = "; ".join(f"{each.name} ({reason})" for each, reason in seen.items())
    raise DataError(f"{folder.root}: fits several formats: {found}. Say which with --from NAME")
