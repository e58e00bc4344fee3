"""`--help` of every command, word for word; `python tests/cli/test_help.py` writes it anew."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from fastscnn_tf.cli.commands import cli

GOLDEN = Path(__file__).parent / "golden" / "help.txt"


def helps(command: click.Command, name: str) -> Iterator[str]:
    """The help of a command and of those below it."""
    settings = {**cli.context_settings, "terminal_width": 100}
    yield click.Context(command, info_name=name, **settings).get_help()
    for below, one in sorted(getattr(command, "commands", {}).items()):
        yield from helps(one, f"{name} {below}")


def all_help() -> str:
    return "\n\n\n".join(helps(cli, "fastscnn")) + "\n"


def test_help_of_every_command():
    assert all_help() == GOLDEN.read_text()


@pytest.mark.parametrize("command", [cli, cli.commands["train"], cli.commands["search"]], ids=str)
def test_sections_hold_everything_and_nothing_else(command):
    """But `--help` itself: a new option or command needs a place."""
    known = {str(p.name) for p in command.params}
    if isinstance(command, click.Group):
        known = set(command.commands)
    assert {name for names in command.sections.values() for name in names} == known
    help_text = click.Context(command, info_name="x", **cli.context_settings).get_help()
    assert "Other commands" not in help_text
    assert all(help_text.count(f"\n{heading}:\n") == 1 for heading in command.sections)


if __name__ == "__main__":
    GOLDEN.write_text(all_help())
