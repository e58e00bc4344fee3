"""What a model file may say of its making; in a `.keras` and in a .tflite it is the same."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

# Nobody reads more, and a terminal shows it at once.
Text = Annotated[str, msgspec.Meta(max_length=10_000)]


class About(msgspec.Struct):
    """Texts, and the gist of the training run; other keys are left alone."""

    name: Text | None = None
    description: Text | None = None
    version: Text | None = None
    author: Text | None = None
    license: Text | None = None
    run: dict[str, Any] | None = None
