"""Finding the weights among what a training run saved."""

import collections
import posixpath
import re
from typing import Any

from ...core.console import LOG
from ...core.errors import ModelFileError
from .pickled_tensors import Opaque, Tensor

MAX_WEIGHTS = 100_000  # entries of a mapping that is looked through
# Where training code keeps the weights, and their running average, in the order of preference.
WEIGHT_KEYS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "params"),
    *("weights", "module"),
)
EMA_KEYS = (
    *("ema_state_dict", "state_dict_ema", "model_ema_state_dict", "ema_model_state_dict"),
    *("model_ema", "ema_model", "params_ema", "ema"),
)
# Attribute names that wrappers put before all names: DataParallel, torch.compile, Lightning.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
MAX_SHOWN = 80  # characters of a prefix
NETWORK = 100  # tensors: the smallest Fast-SCNN has more, all of its parts but one less
MAX_NAMED = 4  # networks
COUNTERS = ("num_batches_tracked", "n_averaged", "steps")  # tensors that are not weights
WHOLE_MODEL = (
    "holds a whole pickled model, not its weights: write them with "
    "torch.save(model.state_dict(), ...)"
)


def find_weights(root: Any, ema: bool) -> dict[str, Any]:
    """The mapping of weights in a checkpoint.

    Raises:
        ModelFileError: there is none.
    """
    if isinstance(root, Opaque) and root.is_model:
        raise ModelFileError(WHOLE_MODEL)
    found = _under(root, EMA_KEYS) if ema else _tensors(root)
    if found is not None:
        return found
    if ema:
        raise ModelFileError(f"no averaged (EMA) weights: ask for the ordinary ones; {_tell(root)}")
    if _under(root, EMA_KEYS) is not None:
        raise ModelFileError("only averaged (EMA) weights: ask for those")
    raise ModelFileError(
        f"no weights: expected a state dict, or one under 'state_dict' or 'model'; {_tell(root)}"
    )


def _tensors(node: Any, depth: int = 2) -> dict[str, Any] | None:
    """A mapping with weights: under a key that is known for it, or else `node` itself."""
    if not isinstance(node, dict) or len(node) > MAX_WEIGHTS:
        return None
    found = _under(node, WEIGHT_KEYS, depth - 1) if depth else None
    if found is None and any(tensor_of(value) for value in node.values()):
        return node
    return found


def _under(node: Any, keys: tuple[str, ...], depth: int = 1) -> dict[str, Any] | None:
    for key in keys if isinstance(node, dict) else ():
        value = node.get(key)
        if isinstance(value, Opaque) and value.is_model:
            raise ModelFileError(WHOLE_MODEL)
        if (found := _tensors(value, depth)) is not None:
            return found
    return None


def tensor_of(value: object) -> Tensor | None:
    """The tensor itself, or that in paddle's (name, array)."""
    if isinstance(value, tuple) and len(value) == 2:
        value = value[1]
    return value if isinstance(value, Tensor) else None


def _tell(root: Any) -> str:
    if isinstance(root, dict) and root:
        keys = ", ".join(repr(key[:40]) for key in list(root)[:12])
        return f"its top-level keys are {keys}{', ...' if len(root) > 12 else ''}"
    if isinstance(root, Opaque):
        return f"it holds {root.name[:60]!r}"
    return "it is an empty mapping" if isinstance(root, dict) else "it holds no mapping"


def without_prefixes(names: list[str]) -> list[str]:
    """The names without what all of them begin with, such as `student.`; a line tells it.

    What no wrapper of `PREFIXES` writes stays where a name would have no part left but its last:
    then it says where in a network they are.

    Raises:
        ModelFileError: they are of several networks.
    """
    rests = names
    while rests and (prefix := next((p for p in PREFIXES if _all_below(rests, p)), "")):
        rests = [name.removeprefix(prefix) for name in rests]
    shared = re.sub(r"[^./]*$", "", posixpath.commonprefix(rests))
    deeper = [name.removeprefix(shared) for name in rests]
    rests = deeper if all("." in rest or "/" in rest for rest in deeper) else rests
    left_out = names[0].removesuffix(rests[0]) if names else ""
    _check_one_network(rests, left_out)
    if left_out:
        LOG.info("all names begin with %r, as of a wrapper: that is left out", left_out[:MAX_SHOWN])
    return rests


def _all_below(names: list[str], prefix: str) -> bool:
    return all(len(name) > len(prefix) and name.startswith(prefix) for name in names)


def _check_one_network(names: list[str], before: str) -> None:
    """Refuses a student beside its teacher: no part of a network but one has so many tensors."""
    counts = collections.Counter(name.partition(".")[0] for name in names)
    networks = [f"{before}{part}."[:MAX_SHOWN] for part in counts if counts[part] >= NETWORK]
    if len(networks) > 1:
        raise ModelFileError(
            "several networks (or another one than a Fast-SCNN), under "
            f"{' and '.join(networks[:MAX_NAMED])}: choose one, with --prefix {networks[0]} "
            f"(in Python prefix={networks[0]!r})"
        )
