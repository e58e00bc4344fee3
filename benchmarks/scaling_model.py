"""A model of a training step's time, fitted on what `scaling.py` measured, and its Markdown.

    step = (compute + input) * wait + messages * rounds(N) * latency + 2 (N - 1) / N * bytes * byte

with N workers, of which each has the same pairs per step however many they are. A ring takes
2 (N - 1) rounds for a message, a tree 2 log2 N. The latency of a round is what the software takes
(measured on loopback) and the link's; a byte takes what loopback or the link takes, whichever is
more.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastscnn_tf.core.text_table import markdown_table, percent

WORKERS = (4, 8, 16, 32, 64, 128, 256)
LINKS = {1: 50e-6, 10: 20e-6, 100: 5e-6}  # Gbit/s -> seconds from one machine to the next, assumed
FASTER = 20  # times, of the assumed faster worker
USUAL = (12, (512, 1024))  # pairs per worker and their size, for the predictions
ENOUGH = 0.8  # of what N times one worker would do
FIRST = 2  # cases that the model is fitted on; the others are held out


@dataclasses.dataclass(frozen=True)
class Model:
    """What was fitted; all in seconds but the ratios.

    Attributes:
        fixed: of a step, whatever its batch.
        pair: of a step, for each pair.
        given: of preparing a pair.
        latency: of a message, for each of a ring's rounds, where a worker has one core.
        free: the same where Gloo's thread need not wait for the worker's to leave that core.
        byte: of a byte of a message.
        crowd: what a core takes when the other one is busy, against alone.
        wait: what a worker takes that waits for another one, against by itself.
    """

    fixed: float
    pair: float
    given: float
    latency: float
    free: float
    byte: float
    crowd: float
    wait: float


def medians(found: dict[str, Any]) -> list[dict[str, float]]:
    """Seconds of each case's turns."""
    return [{k: float(np.median(v)) for k, v in case.items()} for case in found["seconds"]]


def fit(found: dict[str, Any]) -> Model:
    """The model of the first cases, which have one width, and of all-reduces by themselves."""
    cases, seconds = found["cases"], medians(found)
    pairs = [pairs for _, pairs in cases]
    pair, fixed = np.polyfit(pairs[:FIRST], [s["alone"] for s in seconds[:FIRST]], 1)
    many, few = found["small_messages"], found["large_messages"]
    sides = [[2 * len(part), sum(part)] for part in (many, few)]
    alone = [float(np.median(found[name])) for name in ("small", "large")]
    latency, byte = np.linalg.solve(sides, alone)
    model = Model(
        float(fixed),
        float(pair),
        float(np.median([s["input"] / n for s, n in zip(seconds, pairs, strict=True)])),
        float(latency),
        (float(np.median(found["free"])) - sum(many) * float(byte)) / (2 * len(many)),
        float(byte),
        float(
            np.mean([np.median(np.divide(s["both"], s["alone"])) for s in found["seconds"][:FIRST]])
        ),
        1.0,
    )
    sent = [communication(model, arrays(each)) for each in found["messages"]]
    waits = [
        np.median((np.array(s["pair"]) - sent[i]) / s["both"])
        for i, s in enumerate(found["seconds"][:FIRST])
    ]
    return dataclasses.replace(model, wait=max(1.0, float(np.mean(waits))))


def arrays(operations: Sequence[Any]) -> list[int]:
    """Bytes of each array of collective operations: Gloo's messages."""
    return [size for _, sizes in operations for size in sizes]


def communication(
    model: Model,
    messages: Sequence[float],
    workers: int = 2,
    link: int | None = None,
    tree: bool = False,
    free: bool = False,
) -> float:
    """Seconds of a step's messages.

    Args:
        model: gives what loopback takes.
        messages: bytes of each.
        workers: that share them.
        link: in Gbit/s, of `LINKS`; None for loopback.
        tree: log2 of the workers' rounds instead of a ring's.
        free: a worker has cores to spare for its messages.
    """
    if workers == 1:
        return 0.0
    rounds = 2 * math.ceil(math.log2(workers)) if tree else 2 * (workers - 1)
    latency = (model.free if free else model.latency) + (LINKS[link] if link else 0.0)
    byte = max(model.byte, 8 / (link * 1e9)) if link else model.byte
    return len(messages) * rounds * latency + 2 * (workers - 1) / workers * sum(messages) * byte


@dataclasses.dataclass(frozen=True)
class Machine:
    """A worker of the predictions.

    Attributes:
        name: as in the page.
        faster: by which factor than the core that was measured.
        tree: how its messages travel.
        gathered: whether the arrays of an operation go as one.
        free: whether it has a core to spare for its messages.
    """

    name: str
    faster: float = 1.0
    free: bool = True
    tree: bool = False
    gathered: bool = False

    def own(self, model: Model, pixels: float, pairs: float) -> float:
        """Seconds of a step by itself; the faster one's input is prepared beside the steps."""
        compute = model.fixed + model.pair * pairs * pixels
        given = model.given * pairs * pixels
        return compute + given if self.faster == 1 else compute / self.faster

    def sends(self, model: Model, operations: Sequence[Any], workers: int, link: int) -> float:
        """Seconds of a step's messages."""
        each = [sum(sizes) for _, sizes in operations] if self.gathered else arrays(operations)
        return communication(model, each, workers, link, self.tree, self.free)


MACHINES = (
    Machine("one core and no other, a ring (measured here)", free=False),
    Machine("one core and one for messages, a ring"),
    Machine(f"{FASTER} times as fast, a ring", FASTER),
    Machine(
        f"{FASTER} times as fast, a tree, a message for each operation",
        FASTER,
        tree=True,
        gathered=True,
    ),
)


def measured_table(found: dict[str, Any], model: Model) -> str:
    """Each case as measured and as the model has it."""
    rows = []
    for i, (case, s) in enumerate(zip(found["cases"], medians(found), strict=True)):
        width, pairs = case
        alone = model.fixed + model.pair * pairs if width == found["cases"][0][0] else s["alone"]
        sent = communication(model, arrays(found["messages"][i]))
        both = model.crowd * alone
        fed = alone + model.given * pairs
        said = {
            "alone": alone,
            "pair": both * model.wait + sent,
            "alone_fed": fed,
            "pair_fed": model.crowd * fed * model.wait + sent,
            "reduce": sent,
        }
        gained = np.median(
            2 * np.divide(*(found["seconds"][i][k] for k in ("alone_fed", "pair_fed")))
        )
        cells = [f"{1e3 * s[k]:.0f} ({100 * (v / s[k] - 1):+.0f} %)" for k, v in said.items()]
        rows.append([f"{width:g}, {pairs}{'' if i < FIRST else ' *'}", *cells, f"{gained:.2f}"])
    head = ["width, pairs per process", "1 process, batch at hand", "2 processes", "1, with input"]
    head += ["2, with input", "all-reduces alone", "pairs per second of 2 against 1"]
    return markdown_table(head, rows, range(1, 7))


def kinds(operations: Sequence[Any]) -> str:
    """How many there are of each kind."""
    counts = Counter(kind for kind, _ in operations)
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def fitted_lines(found: dict[str, Any], model: Model) -> str:
    """What was counted and fitted, as a list."""
    operations = found["messages"][0]
    each = arrays(operations)
    small = sum(n <= 4096 for n in each)
    return "\n".join(
        [
            f"- A step of width {found['cases'][0][0]:g} has {len(operations)} collective "
            f"operations ({kinds(operations)}) on {len(each)} arrays of {sum(each) / 1e6:.2f} MB "
            f"together, {small} of them of 4 kB at most.",
            f"- Compute: {1e3 * model.fixed:.0f} ms and {1e3 * model.pair:.1f} ms a pair; "
            f"input: {1e3 * model.given:.1f} ms a pair.",
            f"- A message: {1e6 * model.latency:.0f} µs for each round of the ring where a worker "
            f"has one core, {1e6 * model.free:.0f} µs at best on both cores; "
            f"{1 / model.byte / 1e6:.0f} MB/s.",
            f"- A core beside a busy one takes {model.crowd:.2f} times as long; waiting for the "
            f"other process makes it {model.wait:.2f} times.",
        ]
    )


def predicted_table(found: dict[str, Any], model: Model, machine: Machine) -> str:
    """Seconds of a step and efficiency, by workers and links."""
    operations = found["messages"][0]
    own = machine.own(model, _pixels(found), USUAL[0])
    rows = []
    for workers in WORKERS:
        cells = []
        for link in LINKS:
            step = own * model.wait + machine.sends(model, operations, workers, link)
            cells.append(f"{step:.2f} s, {percent(own / step, 0)} %")
        rows.append([str(workers), *cells])
    return markdown_table(["workers", *(f"{x} Gbit/s" for x in LINKS)], rows, range(1, 4))


def enough_table(found: dict[str, Any], model: Model) -> str:
    """Pairs per worker from which the efficiency is `ENOUGH`, by workers, machine and link."""
    rows = []
    for machine in MACHINES:
        for workers in (8, 64, 256):
            cells = [_least(found, model, machine, workers, x) for x in LINKS]
            rows.append([machine.name, str(workers), *cells])
    return markdown_table(["worker", "workers", *(f"{x} Gbit/s" for x in LINKS)], rows, range(1, 5))


def _least(found: dict[str, Any], model: Model, machine: Machine, workers: int, link: int) -> str:
    sent = machine.sends(model, found["messages"][0], workers, link)
    for pairs in range(1, 10_000):
        own = machine.own(model, _pixels(found), pairs)
        if own / (own * model.wait + sent) >= ENOUGH:
            return str(pairs)
    return "never"


def _pixels(found: dict[str, Any]) -> float:
    """Pixels of the predictions' pairs for one of those measured."""
    return math.prod(USUAL[1]) / math.prod(found["size"])


def speed_section(found: dict[str, Any]) -> str:
    """What `docs/scaling.md` says of step times."""
    model = fit(found)
    about = ", ".join(f"{k} {v}" for k, v in found["versions"].items())
    size = "x".join(map(str, found["size"]))
    parts = [
        f"{found['cpu']}; {about}; toy streets of {size}, each process on a core of its own, Gloo "
        f"over loopback; median of {found['rounds']} rounds of {found['steps']} steps. In "
        "milliseconds, and in brackets how far the model is from it. The row with a star was not "
        "in the fit (there only input and messages are the model's), nor were the steps with "
        "input and a step's all-reduces by themselves.",
        measured_table(found, model),
        fitted_lines(found, model),
    ]
    pairs, usual = USUAL[0], "x".join(map(str, USUAL[1]))
    for machine in MACHINES:
        title = f"**{machine.name[0].upper()}{machine.name[1:]}**, {pairs} pairs of {usual} each:"
        parts += [title, predicted_table(found, model, machine)]
    parts += [
        f"Pairs of {usual} per worker from which N workers do {percent(ENOUGH, 0)} % of N times "
        "one worker's work:",
        enough_table(found, model),
    ]
    return "\n\n".join(parts)


def rule_section(found: dict[str, Any]) -> str:
    """What `docs/scaling.md` says of batch and learning rate."""
    seeds = sorted({run["seed"] for run in found["runs"]})
    kinds = sorted({(r["devices"], r["batch"], r["rate"]) for r in found["runs"]})
    scores = {(r["devices"], r["rate"], r["seed"]): r["miou"] for r in found["runs"]}
    rows = []
    for devices, batch, rate in kinds:
        each = [scores.get((devices, rate, seed)) for seed in seeds]
        steps = 400 // batch * found["order"]["epochs"]
        cells = [str(devices), str(batch), f"{rate:g}", str(steps)]
        rows.append([*cells, *(percent(x, 1) for x in each)])
    head = ["devices", "batch", "learning rate", "steps", *(f"mIoU, seed {s}" for s in seeds)]
    return markdown_table(head, rows, range(len(head)))
