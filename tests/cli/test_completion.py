"""What shells ask of `fastscnn` through _FASTSCNN_COMPLETE."""

import os
import shlex
import shutil
import subprocess
import sys

import click
import pytest

from fastscnn_tf.cli.commands import cli
from fastscnn_tf.cli.completion import KNOWN

ASK = """
import sys
from fastscnn_tf.cli.main import main
try:
    main([])
finally:
    heavy = {"tensorflow", "keras", "torch", "jax", "matplotlib"} & set(sys.modules)
    sys.exit(f"imported {heavy}") if heavy else None
"""


def ask(wanted: str, line: str = "") -> str:
    """The answer to a shell whose cursor stands at the end of a line."""
    cursor = len(shlex.split(line)) - (not line.endswith(" "))
    words = {"COMP_WORDS": line, "COMP_CWORD": str(cursor)}
    env = {**os.environ, **words, "_FASTSCNN_COMPLETE": wanted}
    done = subprocess.run([sys.executable, "-c", ASK], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def completed(line: str) -> list[str]:
    return [answer.removeprefix("plain,") for answer in ask("bash_complete", line).splitlines()]


@pytest.mark.parametrize(
    ("shell", "part"),
    [
        ("bash", "complete -o nosort -F _fastscnn_completion fastscnn"),
        ("zsh", "#compdef fastscnn"),
        ("fish", "complete --no-files --command fastscnn"),
    ],
)
def test_each_shell_gets_its_script(shell, part):
    script = ask(f"{shell}_source")
    assert part in script
    assert "Usage" not in script


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_bash_takes_the_script():
    script = ask("bash_source")
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("fastscnn qu", ["quantization-report", "quantize"]),
        ("fastscnn data p", ["pack", "prepare"]),
        ("fastscnn data convert x --from la", ["labelme", "label-studio"]),
        ("fastscnn train --optim", ["--optimizer"]),
        ("fastscnn train --dataset cam", ["camvid", "camvid32", "camvid32-11"]),
        ("fastscnn train --recipe ", ["paper", "strong", "finetune", "settle"]),
        ("fastscnn export m.keras --recipe int8", ["int8", "int8-qat"]),
        ("fastscnn export m.keras --for pi", ["pi4", "pi5"]),
        ("fastscnn settings m.tflite --for android-g", ["android-gpu"]),
        ("fastscnn train --preset pa", ["paper", "paddleseg"]),
        ("fastscnn train --optimizer ", ["sgd", "adamw"]),
        ("fastscnn evaluate m.tflite --split t", ["train", "test", "train_extra"]),
        ("fastscnn evaluate m.tflite --dataset toy --split t", ["train", "test"]),
        ("fastscnn evaluate m.tflite --dataset nope --split v", ["val"]),
        ("fastscnn runs list --sort ", ["date", "miou"]),
        ("fastscnn evaluate m.tfl", ["file,m.tfl"]),
        ("fastscnn train --init-from ru", ["file,ru"]),
    ],
)
def test_completes(line, expected):
    assert completed(line) == expected


def test_splits_are_those_on_disk(own_data):
    line = f"fastscnn evaluate m --dataset folder --data-dir {shlex.quote(str(own_data))} --split "
    assert sorted(completed(line)) == ["train", "val"]


def test_what_is_known_belongs_to_an_option_whose_help_names_it():
    options: dict[str, str] = {}

    def gather(command: click.Command) -> None:
        for param in command.params:
            options[str(param.name)] = options.get(str(param.name), "") + str(
                getattr(param, "help", "")
            )
        for below in getattr(command, "commands", {}).values():
            gather(below)

    gather(cli)
    for name, values in KNOWN.items():
        assert name in options
        if name == "extra_dataset":  # the names of --dataset
            continue
        for value in values:
            assert value in options[name], (name, value)
