"""The rival of `data.py`: a PyTorch DataLoader with the augmentation of the preset `paper`.

Runs in an environment of its own (`requirements-data-rival.txt`). A request says how many batches
to discard and how many to time; the answer is seconds.
"""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import PIL
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler
from turns import serve

IGNORE = 255


class Pairs(Dataset):
    """Pairs read and augmented as PyTorch projects do it, with Pillow or OpenCV.

    `whole` resizes the whole image and crops afterwards, as is usual; otherwise only the part
    that the crop shows is resized.
    """

    def __init__(self, pairs, size, library, whole):
        self.pairs, self.size, self.library, self.whole = pairs, size, library, whole

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        rng = np.random.default_rng(int(torch.randint(0, 1 << 60, (1,))))
        image, label = (self._read(path, i) for i, path in enumerate(self.pairs[index]))
        image, label = self._crop(image, label, rng)
        if rng.random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        image = image.astype(np.float32)
        image *= 1 + rng.uniform(-0.1, 0.1, 3).astype(np.float32)
        image += np.float32(rng.uniform(-32, 32))
        np.clip(image, 0, 255, out=image)
        image -= 128
        image /= 128
        tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return tensor, torch.from_numpy(np.ascontiguousarray(label))

    def _read(self, path, is_label):
        if self.library == "opencv":
            return cv2.imread(path, cv2.IMREAD_UNCHANGED if is_label else cv2.IMREAD_COLOR_RGB)
        return np.array(Image.open(path) if is_label else Image.open(path).convert("RGB"))

    def _resize(self, x, height, width):
        nearest = x.ndim == 2
        if self.library == "opencv":
            how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
            return cv2.resize(x, (width, height), interpolation=how)
        how = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
        return np.array(Image.fromarray(x).resize((width, height), how))

    def _crop(self, image, label, rng):
        scale, place = rng.uniform(0.5, 2), rng.random(2)
        target, extent = np.array(self.size), np.array(label.shape)
        if self.whole:
            shape = [round(v * scale) for v in label.shape]
            image, label = self._resize(image, *shape), self._resize(label, *shape)
            shown = np.minimum(target, shape)
            start = (place * (np.array(shape) - shown + 1)).astype(int)
            part = tuple(slice(a, a + b) for a, b in zip(start, shown, strict=True))
            image, label = image[part], label[part]
        else:
            window = np.minimum(np.rint(target / scale), extent).astype(int)
            start = (place * (extent - window + 1)).astype(int)
            part = tuple(slice(a, a + b) for a, b in zip(start, window, strict=True))
            shown = np.minimum(np.rint(window * scale), target).astype(int)
            image, label = (self._resize(x[part], *map(int, shown)) for x in (image, label))
        if tuple(shown) == tuple(target):
            return image, label
        before = (place * (target - shown + 1)).astype(int)
        inside = tuple(slice(a, a + b) for a, b in zip(before, shown, strict=True))
        framed = np.full((*target, 3), 128, np.uint8), np.full(target, IGNORE, np.uint8)
        framed[0][inside], framed[1][inside] = image, label
        return framed


def single_thread(_):
    """Workers are processes: threads of the libraries would only get in each other's way."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def build(order):
    """A DataLoader that has begun."""
    pairs = Pairs(order["pairs"], order["size"], order["library"], order["whole"])
    # As long as one epoch may be: no worker starts anew while it is timed.
    sampler = RandomSampler(pairs, replacement=True, num_samples=1 << 30)
    batches = iter(
        DataLoader(
            pairs,
            batch_size=order["batch_size"],
            sampler=sampler,
            num_workers=order["workers"],
            worker_init_fn=single_thread,
            drop_last=True,
        )
    )

    def seconds(request):
        for _ in range(request["discard"]):
            next(batches)
        start = time.perf_counter()
        for _ in range(request["count"]):
            next(batches)
        return time.perf_counter() - start

    versions = {
        "torch": torch.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "file": Path(__file__).name,
    }
    return versions, seconds


if __name__ == "__main__":
    serve(build)
