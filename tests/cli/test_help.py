"""`--help` of every command, word for word; `python tests/cli/test_help.py` writes it anew."""

from collections.abc import Iterator
from pathlib import Path

import click

from fastscnn_tf.cli.commands import cli

GOLDEN = Path(__file__).parent / "golden" / "help.txt"


def helps(command: click.Command, name: str) -> Iterator[str]:
    """The help of a command and of those below it."""
    settings = {"help_option_names": ["-h", "--help"], "terminal_width": 100}
    yield click.Context(command, info_name=name, **settings).get_help()
    for below, one in sorted(getattr(command, "commands", {}).items()):
        yield from helps(one, f"{name} {below}")


def all_help() -> str:
    return "\n\n\n".join(helps(cli, "fastscnn")) + "\n"


def test_help_of_every_command():
    assert all_help() == GOLDEN.read_text()


if __name__ == "__main__":
    GOLDEN.write_text(all_help())
