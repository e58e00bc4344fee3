"""`save_model`: the counterpart of `load_model`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.aliases import StrPath
from ..core.errors import ConfigError
from ..core.files.writing import check_output
from ..core.keras_api import KerasModel


def save_model(
    model: KerasModel,
    path: StrPath,
    force: bool = False,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Writes a Keras 3 model as `.keras`, a quantization-aware one as `.npz`.

    Args:
        model: to write.
        path: the file.
        force: replace it.
        about: of `about_model`, into a `.keras`: licence and training run, which exports pass on.

    Raises:
        ConfigError: the suffix does not fit the model, or `about` for a `.npz`.
        OutputError: the file exists, or cannot be written.
    """
    from ..model.fast_scnn import require_fast_scnn
    from ..model.io import save_keras
    from ..quantize.qat_checkpoint import save_qat
    from ..quantize.quantize_aware import is_qat

    suffix = ".npz" if is_qat(model) else ".keras"
    if Path(path).suffix != suffix:
        raise ConfigError(f"{path}: this model is saved as {suffix}")
    if suffix == ".npz":
        if about:
            raise ConfigError(f"{path}: only a .keras says what its weights are about")
        save_qat(model, check_output(path, force))
    else:
        require_fast_scnn(model)
        about = {"license": model.licence, **(about or {})} if model.licence else about
        save_keras(model, check_output(path, force), about=about)
