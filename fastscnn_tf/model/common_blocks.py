"""`CommonBlocks`: what the vocabularies have in common that compute images of (B, H, W, C)."""

from __future__ import annotations

import numpy as np

from ..core.keras_api import Tensor
from ..core.sizes import Size
from .byte_input import FIRST, frame_pads
from .topology import Conv, Depthwise
from .windows import Pads, Spans, Windows, explicit_pads, is_whole, pads_to


class CommonBlocks:
    """Blocks whose padding goes around tensors by hand where it must.

    As of a folded network: there is no dropout, and what `norm` and `bias` ask of a convolution is
    in its weights already.

    Attributes:
        border: colour of what is padded around an image of raw bytes; None: zeros.
    """

    border: np.ndarray | None = None

    def _zeros(self, x: Tensor, pads: Pads, name: str) -> Tensor:
        """A tensor with zeros around it."""
        raise NotImplementedError

    def _framed(self, x: Tensor, colour: np.ndarray, pads: Pads, name: str) -> Tensor:
        """An image with a colour around it."""
        raise NotImplementedError

    def _means(self, x: Tensor, spans: Spans | None, axis: int, name: str) -> Tensor:
        """The means of windows along an axis; of the whole map without spans."""
        raise NotImplementedError

    def _frame_pads(self, size: Size, padding: str) -> Pads | None:
        return frame_pads(size, padding)

    def _padded(self, x: Tensor, conv: Conv | Depthwise) -> tuple[Tensor, str]:
        """The input of a convolution, and the padding that is left for it to do.

        A PAD in front of it costs a .tflite nothing: XNNPACK fuses the two.
        """
        name, padding = conv.name, conv.padding
        if name == FIRST and self.border is not None:
            pads = self._frame_pads(self.size(x), padding)
            x, padding = self._framed(x, self.border, pads, f"{name}.frame") if pads else x, "valid"
        pads, padding = explicit_pads(self.size(x), conv.stride, padding)
        return self._zeros(x, pads, f"{name}.pad") if pads else x, padding

    def pad(self, x: Tensor, size: Size, *, name: str) -> Tensor:
        pads = pads_to(self.size(x), size)
        if self.border is None:
            return self._zeros(x, pads, name)
        return self._framed(x, self.border, pads, name)

    def pool(self, x: Tensor, windows: Windows, *, name: str) -> Tensor:
        if is_whole(windows, self.size(x)):
            return self._means(x, None, 1, name)
        x = self._means(x, windows[0], 1, f"{name}.rows")
        return self._means(x, windows[1], 2, name)

    def dropout(self, x: Tensor, rate: float, *, name: str) -> Tensor:
        return x

    def size(self, x: Tensor) -> Size:
        return int(x.shape[1]), int(x.shape[2])

    def channels(self, x: Tensor) -> int:
        return int(x.shape[3])
