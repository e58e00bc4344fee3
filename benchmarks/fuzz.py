"""Files of strangers, by the thousand: what does the program do with what is damaged or hostile?

    python benchmarks/fuzz.py --seed 0 --mutants 20000 --jobs 2 --output fuzzed
    python benchmarks/fuzz.py --kinds settings ".keras" --mutants 500
    python benchmarks/fuzz.py --reproduce fuzzed/settings-17.json

Each mutant of a sound file is opened by a command as a user would, in a process of its own (forked
from one that has imported the package) with limits of memory, time and file sizes and a home of its
own. Exit code 1: a mutant crashed, hung, flooded, ran something, touched a file that is none of its
business, or got another answer than a result or one line. Linux only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from fuzzing import campaign, verdict
from fuzzing.kinds import KINDS
from fuzzing.mutant import BY_NAME, Mutant


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="the same gives the same mutants")
    parser.add_argument("--mutants", type=int, default=20_000)
    parser.add_argument("--kinds", nargs="+", choices=BY_NAME, metavar="KIND", help="default: all")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--output", type=Path, help="folder for the mutants that end badly")
    parser.add_argument("--quick", action="store_true", help="try fewer of the sound files first")
    parser.add_argument("--list", action="store_true", help="the kinds and what opens them")
    parser.add_argument("--reproduce", type=Path, metavar="FILE", help="run one of these again")
    parser.add_argument("--keep", type=Path, help="with --reproduce: leave its files here, too")
    options = parser.parse_args()
    if options.list:
        for kind in KINDS:
            print(f"{kind.name}: {', '.join(kind.targets)}", *kind.commands, sep="\n    ")
        return 0
    if options.reproduce:
        return reproduce(options.reproduce, options.keep)
    kinds = [k for k in KINDS if not options.kinds or k.name in options.kinds]
    start = time.monotonic()
    tallies = campaign.run_campaign(
        kinds, options.mutants, options.seed, options.jobs, options.output, options.quick
    )
    text = report(tallies, time.monotonic() - start)
    print(text)
    if options.output:
        (options.output / "report.txt").write_text(text + "\n")
    return int(any(tally.bad for tally in tallies.values()))


def report(tallies: dict[str, campaign.Tally], seconds: float) -> str:
    """A table of kinds and outcomes, and a line for each mutant that ended badly."""
    outcomes = [
        name
        for name in verdict.OUTCOMES
        if name in verdict.HELD or any(tally.outcomes[name] for tally in tallies.values())
    ]
    rows = [["kind", "mutants", *outcomes, "CPU", "MiB"]]
    for name, tally in tallies.items():
        counts = [str(tally.outcomes[o] or "-") for o in outcomes]
        most = [f"{tally.slowest:.1f} s", str(tally.largest >> 20)]
        rows.append([name, str(sum(tally.outcomes.values())), *counts, *most])
    total = sum(sum(t.outcomes.values()) for t in tallies.values())
    sums = [str(sum(t.outcomes[o] for t in tallies.values())) for o in outcomes]
    rows.append(["all", str(total), *sums, "", ""])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    for name, tally in tallies.items():
        for index, outcome, command, what, kept in sorted(tally.bad):
            lines.append(
                f"{name} {index}: {outcome}: fastscnn {command}\n    {what} {kept}".rstrip()
            )
    return "\n".join([*lines, f"{total} mutants in {seconds:.0f} s"])


def reproduce(path: Path, keep: Path | None) -> int:
    """Runs a mutant that was kept, and prints everything that it says."""
    mutant = Mutant.from_json(path.read_text())
    with tempfile.TemporaryDirectory(prefix="fastscnn-fuzz-") as top:
        seeds = Path(top) / "seeds"
        run, outcome = campaign.run_again(mutant, seeds)
        if keep:
            keep.mkdir(parents=True)
            mutant.write(seeds, keep)
    print(f"fastscnn {mutant.command}\nchanged: {', '.join(mutant.changes)}")
    for stream in (run.out, run.err):
        print(
            stream.decode("utf-8", "backslashreplace")
            .encode("unicode_escape")
            .decode()
            .replace("\\n", "\n")[:4000]
        )
    print(f"{outcome}: {verdict.describe(run)}")
    return int(outcome in verdict.BAD)


if __name__ == "__main__":
    sys.exit(main())
