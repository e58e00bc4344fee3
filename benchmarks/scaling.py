"""What training by several processes costs: step time with a model of it, and the linear rule.

    export PYTHONPATH=$PWD
    .venv-jax/bin/python benchmarks/scaling.py speed --json speed.json
    .venv-jax/bin/python benchmarks/scaling.py rule --json rule.json
    .venv-jax/bin/python benchmarks/scaling.py page --speed speed.json --rule rule.json

`speed` times the steps of one process, of two that know nothing of each other and of two that train
together, each on a core of its own, and their parts alone: all in turns within each round. `rule`
trains on logical devices. `page` fits the model of `scaling_model.py` and writes the tables of
docs/scaling.md.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scaling_model import arrays, rule_section, speed_section
from turns import Program

from fastscnn_tf.core.files.json_text import read_json
from fastscnn_tf.core.files.writing import write_bytes, write_json
from fastscnn_tf.core.sizes import parse_size
from fastscnn_tf.runtime.device_report import cpu_name

HERE = Path(__file__).parent
WORKER = [sys.executable, str(HERE / "scaling_worker.py")]
RUNS = ((1, 1), (2, 1), (2, 2), (4, 1), (4, 4))  # devices = factor of the batch, factor of the rate
CASES = ((1.0, 2), (1.0, 6), (0.5, 4))  # width, pairs per worker
SMALL, LARGE = [256] * 40, [1 << 20] * 4  # bytes of the messages that are timed by themselves


class Together:
    """Programs that are asked at once, each in a thread: workers answer when all of them do.

    Args:
        orders: (order, environment) of each.
    """

    def __init__(self, orders: Sequence[tuple[dict[str, Any], dict[str, str]]]):
        self._pool = ThreadPoolExecutor(len(orders))
        self.programs = list(self._pool.map(lambda one: program("a worker", *one), orders))

    def ask(self, **request: Any) -> list[Any]:
        """The answers of all."""
        return list(self._pool.map(lambda one: one.ask(request), self.programs))

    def close(self) -> None:
        """Ends all: workers wait for each other there, too."""
        list(self._pool.map(lambda one: one.close(), self.programs))
        self._pool.shutdown()


def speed(options: argparse.Namespace) -> None:
    """Times steps, input and all-reduces of 1 and 2 processes, each on a core of its own."""
    stop = time.perf_counter() + 60 * options.minutes
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        sys.exit("two processes need two cores, there is one")
    order = {"kind": "speed", "size": list(options.size), "cases": options.cases}
    with socket.socket() as one:
        one.bind(("localhost", 0))
        port = str(one.getsockname()[1])
    cluster = {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    orders = [{**order, "core": core} for core in cores]
    with ThreadPoolExecutor(2) as pool:
        workers = [(own, {**cluster, "RANK": str(i)}) for i, own in enumerate(orders)]
        pair, both = pool.map(Together, (workers, [(own, {}) for own in orders]))
    try:
        found = measure(pair, both, len(options.cases), options.rounds, options.steps, stop)
        cpu = f"{cpu_name()}, {len(os.sched_getaffinity(0))} cores"
        said = {"cpu": cpu, "rounds": len(found["small"]), "steps": options.steps}
        said |= {"small_messages": SMALL, "large_messages": LARGE}
        write_json(options.json, {**said, **order, **both.programs[0].about, **found})
    finally:
        pair.close()
        both.close()


def measure(
    pair: Together, both: Together, cases: int, rounds: int, steps: int, stop: float
) -> dict[str, Any]:
    """Medians of each turn, one for each round, in seconds of a step (or a batch, a program).

    Args:
        pair: the processes that train together.
        both: two that know nothing of each other; the first of them is what is alone.
        cases: how many each has.
        rounds: at most; a third one begins only if it ends before `stop`, as the others took.
        steps: of a turn.
        stop: by `time.perf_counter`.
    """
    messages = compiled(pair, both, cases)
    sizes = [arrays(each) for each in messages]

    def reduced(what: list[int], free: bool = False) -> list[float]:
        return pair.ask(what="reduce", bytes=what, count=4 * steps, free=free)[0]

    def turns_of(case: int) -> dict[str, Callable[[], float]]:
        request = {"case": case, "count": steps}
        alone = both.programs[0]

        def one(what: str) -> float:
            return median(alone.ask({"what": what, **request}))

        def all_of(group: Together, what: str) -> float:
            return median(np.concatenate(group.ask(what=what, **request)))

        return {
            "alone": lambda: one("compute"),
            "both": lambda: all_of(both, "compute"),
            "pair": lambda: all_of(pair, "compute"),
            "alone_fed": lambda: one("train"),
            "pair_fed": lambda: all_of(pair, "train"),
            "input": lambda: one("input"),
            "reduce": lambda: median(reduced(sizes[case])),
        }

    seconds: list[dict[str, list[float]]] = [{} for _ in range(cases)]
    plain: dict[str, list[float]] = {"small": [], "large": [], "free": []}
    for i in range(rounds):
        begin = time.perf_counter()
        for case in np.roll(np.arange(cases), i):
            turns = list(turns_of(int(case)).items())
            for j in np.roll(np.arange(len(turns)), i):
                seconds[case].setdefault(turns[j][0], []).append(turns[j][1]())
        for name, what in (("small", SMALL), ("large", LARGE)):
            plain[name].append(median(reduced(what)))
        plain["free"].append(min(reduced(SMALL, free=True)))  # two cores are only just enough
        print(f"round {i + 1} of {rounds}", flush=True)
        if i and 2 * time.perf_counter() - begin > stop:
            break
    return {"messages": messages, "seconds": seconds, **plain}


def compiled(pair: Together, both: Together, cases: int) -> list[Any]:
    """Has all programs compile their steps; the collective operations of each case's.

    What is alone begins at one case each, so that the other finds it compiled.
    """

    def each(number: int) -> None:
        for case in range(cases)[:: -1 if number else 1]:
            both.programs[number].ask({"what": "compute", "case": case, "count": 1})

    messages = []
    with ThreadPoolExecutor(2) as pool:
        beside = [pool.submit(each, number) for number in range(2)]
        for case in range(cases):
            pair.ask(what="compute", case=case, count=1)
            messages.append(pair.ask(what="messages", case=case, count=1)[0])
            print(f"case {case}: {len(messages[-1])} collective operations", flush=True)
        for one in beside:
            one.result()
    return messages


def median(values: Any) -> float:
    return float(np.median(values))


def rule(options: argparse.Namespace) -> None:
    """Trains on 1, 2 and 4 logical devices for equal epochs; goes on where it was cut off."""
    order = {
        "kind": "rule",
        "size": list(options.size),
        "width": options.width,
        "epochs": options.epochs,
        "warmup": options.warmup_epochs,
        "strategy": "mirrored",
    }
    path = options.json
    there = read_json(path) if path.exists() else {"order": order, "runs": []}
    if there["order"] != order:
        sys.exit(f"{path} is of other settings: give another --json, or remove it")
    known = [{**run, "miou": None} for run in there["runs"]]
    running: dict[int, Program] = {}
    for seed in options.seeds:
        for devices, factor in RUNS:
            request = {
                "devices": devices,
                "batch": options.batch_size * devices,
                "rate": options.learning_rate * factor,
                "seed": seed,
            }
            if {**request, "miou": None} in known:
                continue
            if devices not in running:
                flags = f"--xla_force_host_platform_device_count={devices}"
                own = {**order, "strategy": "mirrored" if devices > 1 else "none"}
                running[devices] = program("a run", own, {"XLA_FLAGS": flags})
            there["runs"].append({**request, "miou": running[devices].ask(request)})
            print(there["runs"][-1], flush=True)
            write_json(path, there)
    for one in running.values():
        one.close()


def page(options: argparse.Namespace) -> None:
    """Writes what was measured into the page, between its marks."""
    text = options.output.read_text(encoding="utf-8")
    sections = (("speed", options.speed, speed_section), ("rule", options.rule, rule_section))
    for name, path, section in sections:
        if path:
            end = f"<!-- {name}:end -->"
            begin = f"<!-- {name}:begin (python benchmarks/scaling.py page) -->"
            before, after = text[: text.index(begin)], text[text.index(end) :]
            text = f"{before}{begin}\n{section(read_json(path))}\n{after}"
    write_bytes(options.output, text.encode())


def program(name: str, order: Mapping[str, Any], environment: Mapping[str, str]) -> Program:
    """A worker of `scaling_worker.py` on JAX, which keeps what it compiled for the next one."""
    compiled = {
        "JAX_COMPILATION_CACHE_DIR": os.environ.get(
            "JAX_COMPILATION_CACHE_DIR", str(HERE.parent / ".venv-jax" / "compiled")
        ),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return Program(name, WORKER, order, {"KERAS_BACKEND": "jax", **compiled, **environment})


def case_of(text: str) -> tuple[float, int]:
    """`0.5:4` as (0.5, 4)."""
    width, _, pairs = text.partition(":")
    return float(width), int(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("speed", help="Seconds of steps and of their parts.")
    part.add_argument("--size", type=parse_size, default=(128, 224))
    part.add_argument(
        "--cases", type=case_of, nargs="+", default=list(CASES), help="WIDTH:PAIRS of a worker."
    )
    part.add_argument("--rounds", type=int, default=5, help="At most.")
    part.add_argument("--steps", type=int, default=4, help="Per turn.")
    part.add_argument("--minutes", type=float, default=7.0, help="Then no round begins.")
    part.add_argument("--json", type=Path, required=True, help="The result.")
    part.set_defaults(run=speed)
    part = parts.add_parser("rule", help="mIoU of larger batches at equal epochs.")
    part.add_argument("--size", type=parse_size, default=(64, 96))
    part.add_argument("--width", type=float, default=0.5)
    part.add_argument("--epochs", type=int, default=10)
    part.add_argument("--warmup-epochs", type=float, default=2.0)
    part.add_argument("--batch-size", type=int, default=12, help="Of one device.")
    part.add_argument("--learning-rate", type=float, default=0.045, help="Of that batch.")
    part.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    part.add_argument("--json", type=Path, required=True, help="The result; goes on with it.")
    part.set_defaults(run=rule)
    part = parts.add_parser("page", help="Write what both measured into docs/scaling.md.")
    part.add_argument("--speed", type=Path, help="What speed wrote.")
    part.add_argument("--rule", type=Path, help="What rule wrote.")
    part.add_argument("--output", type=Path, default=HERE.parent / "docs" / "scaling.md")
    part.set_defaults(run=page)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
