"""What shells ask of `fastscnn` through _FASTSCNN_COMPLETE."""

import shlex
import shutil
import subprocess

import click
import pytest
from forked import LIMIT, forking

from fastscnn_tf.cli.commands import cli
from fastscnn_tf.cli.completion import KNOWN

# What an answer needs: the options of all commands.
IMPORTS = """
from fastscnn_tf.cli.main import main
from fastscnn_tf.cli import completion
from fastscnn_tf.cli.commands import cli

[cli.commands.get(name) for name in cli.commands]
"""
ASK = """
*words, errors = sys.argv[1:]
os.environ.update(zip(("_FASTSCNN_COMPLETE", "COMP_WORDS", "COMP_CWORD"), words))
os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
try:
    main([])
finally:
    heavy = {"tensorflow", "keras", "torch", "jax", "matplotlib"} & set(sys.modules)
    sys.exit(f"imported {heavy}") if heavy else None
"""


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """(what is wanted, line) -> the answer to a shell whose cursor stands at the line's end."""
    folder = tmp_path_factory.mktemp("asked")
    said, errors = folder / "said", folder / "errors"

    def answer(wanted: str, line: str = "") -> str:
        cursor = len(shlex.split(line)) - (not line.endswith(" "))
        said.unlink(missing_ok=True)
        asked = start((wanted, line, cursor, errors), said, ASK)
        asked.wait(LIMIT)
        assert errors.read_text() == ""
        return asked.finish()

    with forking(IMPORTS) as start:
        yield answer


@pytest.fixture
def completed(ask):
    """(line) -> what a shell offers."""

    def offered(line: str) -> list[str]:
        answers = ask("bash_complete", line).splitlines()
        return [answer.removeprefix("plain,") for answer in answers]

    return offered


@pytest.mark.parametrize(
    ("shell", "part"),
    [
        ("bash", "complete -o nosort -F _fastscnn_completion fastscnn"),
        ("zsh", "#compdef fastscnn"),
        ("fish", "complete --no-files --command fastscnn"),
    ],
)
def test_each_shell_gets_its_script(ask, shell, part):
    script = ask(f"{shell}_source")
    assert part in script
    assert "Usage" not in script


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_bash_takes_the_script(ask):
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
def test_completes(completed, line, expected):
    assert completed(line) == expected


def test_splits_are_those_on_disk(completed, own_data):
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
