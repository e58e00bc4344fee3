"""What README and documentation say can be typed: commands, options, names, Python, links."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.cli.commands import cli
from fastscnn_tf.core.presets import PRESETS
from fastscnn_tf.data.datasets import toy_streets
from fastscnn_tf.data.datasets.registry import NAMES
from fastscnn_tf.delegates.targets import TARGETS
from fastscnn_tf.export.quantization_recipes import RECIPES as EXPORT_RECIPES
from fastscnn_tf.train.recipes import RECIPES as TRAIN_RECIPES

ROOT = Path(__file__).parents[1]
GUIDE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [
    *GUIDE,
    *sorted((ROOT / "tflite").glob("*.md")),
    *sorted((ROOT / "tflite").glob("*/R*.md")),
]
FENCE = re.compile(
    r"^(?P<mark><!-- run -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S
)
INDENTED = re.compile(r"(?:(?<=\n\n)|(?<=[^ \n]\n))((?:    .*\n|\n(?=    ))+)")
INLINE = re.compile(r"`([^`]+)`")
PLACEHOLDER = re.compile(r"\.\.\.|[A-Z_]+|.*[$<].*")  # stands for what the reader has
# What click takes as any text and the command checks, where no file is needed to check it.
TEXTS = {
    "device": TARGETS,
    "dataset": NAMES,
    "preset": PRESETS,
    ("train", "recipe"): TRAIN_RECIPES,
    ("export", "recipe"): EXPORT_RECIPES,
}
OTHERS = {"--system-site-packages", "--break-system-packages", "--strict", "--kill-on-bad-exit"}


def page_names(pages: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in pages]


def blocks(text: str) -> Iterator[str]:
    """Code blocks but those of Python, fenced or indented."""
    yield from (m["code"] for m in FENCE.finditer(text) if m["language"] != "python")
    yield from (m[1] for m in INDENTED.finditer(FENCE.sub("", text)))


def commands(block: str) -> Iterator[list[str]]:
    """What stands behind `fastscnn` in a block: arguments, without comments and what follows."""
    line = ""
    for part in block.replace("\\\n", " ").splitlines():
        line = f"{line}\n{part}" if line else part
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&<>")
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a quotation goes on
            continue
        line = ""
        while any(Path(word).name == "fastscnn" for word in words):
            start = [Path(word).name for word in words].index("fastscnn") + 1
            words = words[start:]
            end = next((i for i, w in enumerate(words) if set(w) <= set(";|&<>")), len(words))
            if end:
                yield words[:end]
    assert not re.search(r"\bfastscnn ", line), f"no closing quotation: {line}"


def typed(page: Path) -> list[list[str]]:
    """All command lines of a page, those within sentences among them."""
    text = page.read_text(encoding="utf-8")
    found = [words for block in blocks(text) for words in commands(block)]
    sentences = INDENTED.sub("", FENCE.sub("", text))
    inline = (m[1].replace("\n", " ") for m in INLINE.finditer(sentences))
    starts = [code for code in inline if code.startswith("fastscnn ")]
    return found + [[*words, "..."] for code in starts for words in commands(code)]


def check(words: list[str]) -> None:
    """Parses a command line as click does, without looking at files.

    Raises:
        click.UsageError: no such command or option, a value that is none of it, or one missing.
    """
    command, context, rest = cli, click.Context(cli, **cli.context_settings), words
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(rest)
        if not rest or rest[0] == "...":
            return
        name, inner, rest = command.resolve_command(context, rest)
        command, context = inner, click.Context(inner, parent=context, info_name=name)
    rest = ["..." if re.fullmatch(r"\$\w+", word) else word for word in rest]
    whole = "..." not in rest
    flags = {o for p in command.params if getattr(p, "is_flag", False) for o in p.opts}
    kept = [  # "..." where an option wants a value, nothing elsewhere
        word
        for before, word in zip(["", *rest], rest, strict=False)
        if word != "..." or (before.startswith("--") and before not in flags)
    ]
    values, extra, _ = command.make_parser(context).parse_args(kept)
    if extra:
        raise click.UsageError(f"too many arguments: {extra}")
    for parameter in command.params:
        check_value(parameter, values.get(parameter.name), context, whole)


def check_value(parameter: click.Parameter, value: object, context: click.Context, whole: bool):
    """What was given for one parameter; files are not looked for."""
    given = [v for v in (value if isinstance(value, (list, tuple)) else [value]) if v is not None]
    if whole and parameter.required and not given:
        raise click.MissingParameter(ctx=context, param=parameter)
    texts = TEXTS.get((context.info_name, parameter.name)) or TEXTS.get(parameter.name)
    for text in given:
        if not isinstance(text, str) or PLACEHOLDER.fullmatch(text):
            continue
        if texts and "/" not in text and text not in texts:
            raise click.BadParameter(f"{text!r} is none of {', '.join(texts)}", context, parameter)
        if not isinstance(parameter.type, click.Path):
            parameter.type.convert(text, parameter, context)


@pytest.mark.parametrize("page", PAGES, ids=page_names(PAGES))
def test_command_lines(page):
    for words in typed(page):
        try:
            check(words)
        except click.ClickException as error:
            pytest.fail(f"fastscnn {shlex.join(words)}: {error.format_message()}")


def test_there_are_command_lines():
    """Else the test above reads nothing."""
    counts = {name: len(typed(p)) for name, p in zip(page_names(PAGES), PAGES, strict=True)}
    assert counts["README.md"] >= 5
    assert counts["docs/quickstart.md"] >= 12
    assert sum(counts.values()) >= 90


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("fastscnn trian --dataset toy", "trian"),
        ("fastscnn predict m.tflite a.jpg --outptu x", "--outptu"),
        ("fastscnn predict m.tflite a.jpg", "--output"),  # is missing
        ("A=1 fastscnn predict m.tflite a.jpg --output x --fit crop  # no such fit", "crop"),
        ("make x && .venv/bin/fastscnn predict m.tflite a.jpg --output x --processes no", "no"),
        ("fastscnn export RUN --for pi6 --output m.tflite", "pi6"),
        ("fastscnn data check --dataset camvid \\\n  --data-dri x", "--data-dri"),
        ("fastscnn train ... --recipe weak", "weak"),
        ("fastscnn summary m.keras n.keras", "too many"),
        ("srun fastscnn train --size 3 ... --output X", "3"),
        ("fastscnn --no-such train", "--no-such"),
    ],
)
def test_wrong_command_lines_are_found(line, says):
    (words,) = commands(line)
    with pytest.raises((click.ClickException, fs.FastSCNNError)) as caught:
        check(words)
    assert says in str(getattr(caught.value, "format_message", lambda: caught.value)())


def options_of(command: click.Command) -> set[str]:
    own = {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("--")}
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union(*map(options_of, inner))


@pytest.mark.parametrize("page", GUIDE, ids=page_names(GUIDE))
def test_options_in_sentences(page):
    """`--option` between words is an option of some command, or of a program of this repository."""
    sentences = INDENTED.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))
    code = " ".join(m[1] for m in INLINE.finditer(sentences) if "benchmarks/" not in m[1])
    known = options_of(cli) | {"--help", "--version"} | OTHERS
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)) - known == set()


@pytest.mark.parametrize("page", PAGES, ids=page_names(PAGES))
def test_make_targets(page):
    text = page.read_text(encoding="utf-8")
    typed = re.findall(r"(?:^    |^|`)make ((?:[A-Z]+=\S+ )*)([a-z-]+)", text, re.M)
    assert {name for _, name in typed} - make_targets() == set()


@pytest.mark.parametrize("page", PAGES, ids=page_names(PAGES))
def test_public_names(page):
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"\bfs\.([A-Za-z_]\w+)", text)) - set(fs.__all__) <= {"__all__"}


def python_blocks(page: Path) -> list[tuple[bool, str]]:
    """(marked as runnable, code) of each block."""
    found = FENCE.finditer(page.read_text(encoding="utf-8"))
    return [(bool(m["mark"]), m["code"]) for m in found if m["language"] == "python"]


@pytest.mark.parametrize("page", PAGES, ids=page_names(PAGES))
def test_python_is_python(page):
    for _, code in python_blocks(page):
        compile(code, page.name, "exec")


RUNNABLE = [(p, code) for p in PAGES for marked, code in python_blocks(p) if marked]


@pytest.mark.train
@pytest.mark.parametrize(
    "code", [code for _, code in RUNNABLE], ids=page_names([page for page, _ in RUNNABLE])
)
def test_python_runs(code, tmp_path, monkeypatch):
    """Marked blocks, on few and small drawn streets, for one epoch, one bottleneck a group."""
    monkeypatch.chdir(tmp_path)
    scenes = {split: (seed, 8) for split, (seed, _) in toy_streets.SPLITS.items()}
    monkeypatch.setattr(toy_streets, "SPLITS", scenes)
    Image.fromarray(fs.open_dataset("toy", split="test").read_image(0)).save("street.jpg")
    for name in ("m.tflite", "int8_qat.tflite"):
        shutil.copy(ROOT / "tflite" / "fastscnn_camvid_int8.tflite", name)
    code = re.sub(r"\bepochs=\d+", "epochs=1", code)
    names: dict[str, object] = {}
    code = code.replace(
        "input_size=(128, 224)", "input_size=(64, 96), repeats=(1, 1, 1), pyramid_bins=(1, 2)"
    )
    exec(compile(code, "block", "exec"), names)
    assert names["labels"].shape == toy_streets.DEFAULT_SIZE


def test_runnable_blocks_are_there():
    found = set(page_names([page for page, _ in RUNNABLE]))
    assert found == {"README.md", "docs/devices.md", "tflite/README.md"}


def test_readme_fits():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    (picture,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert (ROOT / picture).stat().st_size < 150_000
    links = re.findall(r"(?<!!)\[[^]]+\]\(([^)#]+)[^)]*\)", text)
    assert [link for link in links if ":" not in link and not (ROOT / link).exists()] == []


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "site_hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_api_page_has_every_public_name(hooks):
    names = [name for _, name in hooks._public()]
    assert sorted(names) == sorted(set(fs.__all__) - {"__version__"})
    assert all(title for title, _ in hooks._public())


def test_the_site_is_built_strictly():
    """With `--quiet` MkDocs counts no warnings, and a dead link passes."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (build,) = re.findall(r"mkdocs build(.*)", makefile)
    assert build == ""
    assert "\nstrict: true\n" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation(hooks):
    """MkDocs says so, too, but runs only where it is installed."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    pages = {*hooks.ELSEWHERE, *(p.name for p in (ROOT / "docs").glob("*.md"))}
    assert set(re.findall(r"([\w-]+\.md)$", navigation, re.M)) == pages
    assert [s for s in hooks.ELSEWHERE.values() if not (ROOT / s).is_file()] == []


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def test_the_workflow_does_what_people_can_do():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    runs = [step["run"] for step in steps if "run" in step]
    made = {run.split()[1] for run in runs if run.startswith("make ")}
    assert made == {"lint", "test", "docs"} and made <= make_targets()
    for words in (words for run in runs for words in commands(run)):
        check(words)
    pythons = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [line.rpartition(" ")[2] for line in project["classifiers"] if "Python ::" in line]
    assert pythons == named


def test_issue_templates_are_forms():
    forms = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"))
    assert len(forms) == 3
    for form in forms:
        content = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= set(content)
        for part in content["body"]:
            assert part["type"] == "markdown" or {"id", "attributes", "validations"} <= set(part)
        for code in INLINE.findall(form.read_text(encoding="utf-8")):
            for words in commands(code):
                check(words)


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == fs.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_pre_commit_runs_what_lint_runs():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2]
    lines = recipe.partition("\n\n")[0].splitlines()[1:]
    asked = [line.strip().replace("$(BIN)", ".venv/bin").removesuffix(" .") for line in lines]
    assert hooks == asked


def test_the_image_is_built_of_what_is_there():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    let_in = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert sorted(f"!{name}" for name in copied) == sorted(x for x in let_in if x[0] == "!")
    assert [name for name in copied if not list(ROOT.glob(name))] == []
    said = [line.lstrip("# ") for line in lines if line.startswith("#   docker run")]
    for words in (words for line in said for words in commands(line)):
        check(words)


@pytest.mark.process
def test_the_image_runs_where_docker_does():
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "info"], capture_output=True).returncode:
        pytest.skip("no Docker daemon: the image is not built")
    pulled = subprocess.run([docker, "pull", "python:3.12-slim"], capture_output=True)
    if pulled.returncode:
        pytest.skip("Docker cannot fetch python:3.12-slim: the image is not built")
    subprocess.run([docker, "build", "--tag", "fastscnn-test", ROOT], check=True)
    done = subprocess.run([docker, "run", "--rm", "fastscnn-test"], capture_output=True, check=True)
    assert b"predict" in done.stdout
