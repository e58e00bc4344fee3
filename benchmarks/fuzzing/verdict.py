"""What a run says of the program: it held, or how it did not."""

from __future__ import annotations

import re
import signal

from .child import MEMORY, SECONDS, Run
from .hostile import MARK
from .inside import CRASHED

HELD = ("ok", "refused", "failed")
BAD = (
    *(
        "crash",
        "ran something",
        "outside",
        "over time",
        "over memory",
        "internal error",
        "traceback",
    ),
    *("left behind", "control", "markup", "stray", "silent"),
)
OUTCOMES = (*HELD, *BAD)
_MEMORY = re.compile(
    rb"fit into memory|MemoryError|bad_alloc|[Oo]ut of memory|Cannot allocate memory"
)
_JOINERS = "\u200c\u200d"


def outcome_of(run: Run) -> str:
    """One of `OUTCOMES`; of several that apply the gravest.

    ok, refused and failed are exit codes 0, 2 and 1; each other line on stderr than
    `fastscnn: ...` is stray.
    """
    err = run.err.decode("utf-8", "surrogateescape")
    lines = [line for line in err.split("\n") if line]
    checks = {
        "crash": bool(run.signal) and not run.late,
        "ran something": bool(run.events),
        "outside": bool(run.touched),
        "over time": run.late or run.cpu > SECONDS,
        "over memory": run.memory > MEMORY or bool(_MEMORY.search(run.err)),
        "internal error": "fastscnn: internal error" in err,
        "traceback": run.code == CRASHED or "Traceback (most recent call last)" in err,
        "left behind": bool(run.left),
        "control": has_control(run.out) or has_control(run.err),
        "markup": has_markup(run.pages),
        "stray": any(not line.startswith("fastscnn: ") for line in lines) or _several(run, lines),
        "silent": bool(run.code and not lines and not run.out),
    }
    held = {0: "ok", 2: "refused", 1: "failed"}.get(-1 if run.code is None else run.code, "silent")
    return next((name for name in BAD if checks[name]), held)


def _several(run: Run, lines: list[str]) -> bool:
    """Whether a refusal floods; hints at what a file's settings do may precede its line."""
    return run.code in (1, 2) and len(lines) > 4


def has_control(text: bytes) -> bool:
    """Whether a terminal would do something else than show it."""
    shown = text.decode("utf-8", "surrogateescape")
    allowed = shown.replace("\n", "").replace("\t", "")
    return not allowed.isprintable() and any(
        not c.isprintable() and c not in _JOINERS for c in allowed
    )


def has_markup(pages: bytes) -> bool:
    """Whether a script of ours stands in a page, or in Markdown outside of code."""
    text = re.sub(rb"(`+)(?!`).*?(?<!`)\1(?!`)", b"", pages)
    opened = rb"(?<!\\)(\\\\)*(<script>|<img src=x onerror=|\]\(javascript:)"
    return bool(re.search(opened + re.escape(MARK.encode()), text))


def describe(run: Run) -> str:
    """What is worth knowing of a bad run, on one line."""
    end = signal.Signals(run.signal).name if run.signal else f"code {run.code}"
    last = run.err.decode("utf-8", "replace").strip().split("\n")[-1]
    parts = [
        end,
        f"{run.seconds:.1f} s ({run.cpu:.1f} s CPU)",
        f"{run.memory >> 20} MiB",
        *run.events,
        *run.touched,
    ]
    return " | ".join([*parts[:8], *run.left, repr(last[-300:])])
