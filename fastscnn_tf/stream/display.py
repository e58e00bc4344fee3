"""Where frames with their label maps go: a window, or files in a folder."""

from __future__ import annotations

import os
import sys
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ..core.aliases import StrPath
from ..core.errors import OutputError
from ..core.files.writing import check_output_folder, make_folder, replacing
from ..core.images.image_file import save_label
from ..core.labels import LabelSpace

TITLE = "fastscnn watch (q ends)"
JPEG_QUALITY = 90


class Sink(Protocol):
    """Takes frames one after the other."""

    def show(self, name: str, pixels: np.ndarray, labels: np.ndarray) -> bool:
        """Takes (H, W, 3) uint8 RGB and (H, W) uint8; false when the user wants no more."""
        ...


class ScreenWindow(Sink, Protocol):
    """One on the screen."""

    def close(self) -> None:
        """Ends it."""
        ...


class FileSink:
    """Writes `<name>_overlay.jpg` and `<name>_labels.png`; the second of a name gets `-2`.

    Args:
        folder: new or empty, unless `force`.
        space: colours of the classes.
        force: write into a folder that is not empty.

    Raises:
        OutputError: it is in use, or cannot be written.
    """

    def __init__(self, folder: StrPath, space: LabelSpace, force: bool = False):
        self._folder = make_folder(check_output_folder(folder, force))
        self._palette = space.palette()
        self._names: dict[str, int] = {}

    def show(self, name: str, pixels: np.ndarray, labels: np.ndarray) -> bool:
        """As in `Sink`."""
        count = self._names[name] = self._names.get(name, 0) + 1
        stem = name if count == 1 else f"{name}-{count}"
        with replacing(self._folder / f"{stem}_overlay.jpg") as temporary:
            Image.fromarray(pixels).save(temporary, quality=JPEG_QUALITY)
        with replacing(self._folder / f"{stem}_labels.png") as temporary:
            save_label(temporary, labels, self._palette)
        return True


def open_window() -> ScreenWindow:
    """A window: OpenCV's, or Tk's where OpenCV has none.

    Raises:
        OutputError: there is no display, or neither can open one.
    """
    # OpenCV's Qt ends the whole process where there is no display.
    unix = sys.platform not in ("win32", "darwin")
    if unix and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise OutputError("there is no display for a window: pass --output FOLDER or --no-window")
    for window in (_OpenCvWindow, _TkWindow):
        try:
            return window()
        except Exception:  # not installed, built without windows, or refused by the display
            continue
    raise OutputError(
        "no window can be opened: pip install opencv-python or install Tk (python3-tk), or pass "
        "--output FOLDER or --no-window"
    )


class _OpenCvWindow:
    def __init__(self) -> None:
        import cv2

        self._cv2: Any = cv2
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL)

    def show(self, name: str, pixels: np.ndarray, labels: np.ndarray) -> bool:
        self._cv2.imshow(TITLE, pixels[..., ::-1])
        pressed = self._cv2.waitKey(1) & 0xFF
        is_open = self._cv2.getWindowProperty(TITLE, self._cv2.WND_PROP_VISIBLE) >= 1
        return pressed not in (ord("q"), 27) and is_open

    def close(self) -> None:
        self._cv2.destroyAllWindows()


class _TkWindow:
    def __init__(self) -> None:
        import tkinter

        from PIL import ImageTk

        self._make: Any = ImageTk.PhotoImage
        self._root = tkinter.Tk()
        self._root.title(TITLE)
        self._label = tkinter.Label(self._root)
        self._label.pack()
        self._open = True
        for event in ("<q>", "<Escape>"):
            self._root.bind(event, lambda _: self._end())
        self._root.protocol("WM_DELETE_WINDOW", self._end)

    def _end(self) -> None:
        self._open = False

    def show(self, name: str, pixels: np.ndarray, labels: np.ndarray) -> bool:
        self._shown = self._make(Image.fromarray(pixels))  # Tk keeps no reference of its own
        self._label.configure(image=self._shown)
        self._root.update()
        return self._open

    def close(self) -> None:
        self._root.destroy()
