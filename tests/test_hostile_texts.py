"""Texts of strangers stay texts: in every report, card and source, and on a terminal."""

import ast
import json
import logging
import os
import pty
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from hostile_texts import (
    FILE,
    NAMES,
    OWNED,
    SHIPPED,
    make_data,
    make_model,
    make_pages,
    make_run,
    make_sources,
    make_texts,
)
from markdown_it import MarkdownIt

from fastscnn_tf.core.console import echo, warn
from fastscnn_tf.core.foreign_text import JOINERS
from fastscnn_tf.core.images.visualize import legend
from fastscnn_tf.core.labels import LabelSpace
from fastscnn_tf.delegates.settings_file import write_settings
from fastscnn_tf.delegates.targets import TARGETS
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.scoring.contact_sheet import save_contact_sheet

OURS = {"html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "p"}
OURS |= {"figure", "img", "figcaption", "table", "thead", "tbody", "tr", "th", "td"}
OURS |= {"details", "summary"}
# What a renderer of Markdown may make of our pages: nothing else is an element.
BLOCKS = {"heading", "paragraph", "table", "thead", "tbody", "tr", "th", "td", "inline"}
BLOCKS |= {"bullet_list", "list_item", "fence", "code_block"}
INLINE = {"text", "code_inline", "softbreak", "hardbreak", "strong"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return make_pages(tmp_path_factory.mktemp("pages"))


def check_printable(text):
    odd = {c for c in text if not (c.isprintable() or c in JOINERS or c == "\n")}
    assert not odd, odd


class Reader(HTMLParser):
    """The elements of a page, and the cells of each row."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.rows, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self.rows.append([])
        if tag == "tr":
            self.rows[-1].append(0)
        if tag in ("td", "th"):
            self.rows[-1][-1] += 1

    def handle_data(self, data):
        self.text += data


def test_pages_of_html_hold_our_elements_alone(pages):
    found = {name: text for name, text in pages.items() if name.endswith(".html")}
    assert len(found) == 4
    for name, text in found.items():
        check_printable(text)
        page = Reader(text)
        assert {tag for tag, _ in page.elements} <= OURS, name
        names = {attribute for _, attributes in page.elements for attribute in attributes}
        assert not [n for n in names if n.startswith("on")], name
        assert all(len(set(cells)) == 1 for cells in page.rows), name
        (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv")]
        assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy
        assert OWNED in page.text, name  # the names are there, as texts


def rendered(text):
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


PICTURES = ("curves.png", "class_iou.png", "confusion.png")  # of the run's report
HEADINGS = {
    "card of a file.md": "Model card,Classes,Training run,Device settings,Operations,Scores,How to",
    "card of a run.md": "Model card,Files,Classes,Validation,Settings,Versions,Scores,How to use",
    "inspect.md": "",
    "inspect side by side.md": "",
    "reproduction.md": "",
    "run report.md": "Fast-SCNN,Result,Curves,Class IoU,Confusion,Settings,Programs",
}


def test_pages_of_markdown_are_what_they_are_with_harmless_names(pages):
    found = {name: text for name, text in pages.items() if name.endswith(".md")}
    assert found.keys() == HEADINGS.keys()
    for name, text in found.items():
        check_printable(text)
        tokens, headings = rendered(text), []
        for i, token in enumerate(tokens):
            if token.type == "heading_open":
                headings.append((token.tag, tokens[i + 1].content))
            kind = token.type.removesuffix("_open").removesuffix("_close")
            assert kind in BLOCKS, (name, token)
            for child in token.children or ():
                kind = child.type.removesuffix("_open").removesuffix("_close")
                picture = kind == "image" and child.attrs["src"] in PICTURES
                assert kind in INLINE or picture, (name, child)
        wanted = HEADINGS[name].split(",") if HEADINGS[name] else []
        assert [tag for tag, _ in headings] == ["h1", *["h2"] * len(wanted)][: len(wanted)]
        assert all(h.startswith(w) for (_, h), w in zip(headings, wanted, strict=True)), headings
        shown = "".join(c.content for t in tokens for c in t.children or ())
        assert "reproduction" in name or "<script>" in shown


def test_rows_of_markdown_have_as_many_cells_as_their_head(pages):
    """Renderers hide what is too much: the bars are counted."""
    for name, text in pages.items():
        if name.endswith(".md"):
            rows = [line for line in text.splitlines() if line.startswith("|")]
            bars = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows]
            for i, row in enumerate(rows):
                if row.startswith("|---"):
                    width = bars[i]
                    assert bars[i - 1] == width
                elif not rows[i + 1 : i + 2] or not rows[i + 1].startswith("|---"):
                    assert bars[i] == width, (name, row)


def test_how_to_use_a_file_is_right_whatever_its_name(pages, tmp_path):
    card = pages["card of a file.md"]
    (code,) = [t.content for t in rendered(card) if t.type == "fence"]
    model = make_model(tmp_path)
    texts = {n.value for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Constant)}
    assert texts == {model.name, "street.jpg"}
    (commands,) = [t.content for t in rendered(card) if t.type == "code_block"]
    assert words_of(commands, tmp_path) == [
        *("fastscnn", "predict", model.name, "street.jpg", "--output", "images")
    ]
    (commands,) = [t.content for t in rendered(pages["card of a run.md"]) if t.type == "code_block"]
    words = words_of(commands, tmp_path)
    assert words[:2] == ["fastscnn", "export"] and words[6] == NAMES[6]


def words_of(line, folder):
    """What a shell makes of a command's line."""
    script = f"show() {{ printf '%s\\0' \"$@\"; }}\nshow {line}"
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, check=True)
    assert not (folder / "owned").exists()
    return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


def test_commands_are_one_line_and_run_nothing_else(tmp_path):
    for name, text in make_sources().items():
        check_printable(text)
        if name.endswith(".sh"):
            lines = [line for line in text.splitlines() if not line.startswith("#")]
            words = words_of(lines[0], tmp_path)
            assert words[0] == "./benchmark_model" and FILE in words[1], (name, words)
            assert len(lines) == 1 and all(word.startswith("--") for word in words[1:])


def test_kotlin_has_the_lines_that_it_has_with_harmless_names():
    for name, text in make_sources().items():
        if name.endswith(".kt"):
            check_printable(text)
            bare = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', text)
            code = [line for line in bare.splitlines() if not line.startswith(("//", "/**"))]
            assert not any("touch" in line or "fun x" in line for line in code), code
            assert all(line.endswith("*/") for line in bare.splitlines() if line[:3] == "/**")


def test_texts_for_the_console_keep_their_lines(tmp_path):
    for name, (text, lines) in make_texts(tmp_path).items():
        check_printable(text)
        assert len(text.splitlines()) == lines or not lines, (name, text)


def test_columns_are_as_wide_as_what_is_shown(tmp_path):
    text, _ = make_texts(tmp_path)["evaluation"]
    rows = text.splitlines()[:-1]
    assert len({len(row) for row in rows}) == 1, rows


def test_pictures_are_drawn_whatever_the_names(tmp_path):
    space = LabelSpace.make("own", len(NAMES), NAMES)
    assert legend(space).shape[0] == 18 * len(NAMES)
    wide = legend(LabelSpace.make("own", 1, ("x" * 100_000,)))
    assert wide.shape[1] < 1000
    path = tmp_path / "sheet.png"
    save_contact_sheet(path, "folder", make_data(tmp_path), "val", "none", (32, 32), 2)
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("text", NAMES)
def test_echo_prints_one_line(capsys, text):
    echo(text)
    warn(text)
    printed = capsys.readouterr()
    assert printed.out.count("\n") == printed.err.count("\n") == 1
    check_printable(printed.out + printed.err)


def test_what_the_library_logs_is_printable(tmp_path, caplog):
    model = tmp_path / "m\x1b[2J.tflite"
    model.write_bytes(SHIPPED.read_bytes())
    write_settings(model, TARGETS["android-nnapi"].settings)
    with caplog.at_level(logging.INFO, "fastscnn_tf"):
        Segmenter(model)
    assert caplog.records
    for record in caplog.records:
        check_printable(record.getMessage())


def commands(folder):
    """Commands that print such names: a run's, a file's, a data set's."""
    run, model, data = make_run(folder), make_model(folder), make_data(folder)
    (folder / "data" / "labels" / "c\x1b[2J\n.png").write_bytes(b"none")
    return [
        ("runs", "list", folder),
        ("runs", "compare", run, run),
        ("runs", "report", run),
        ("inspect", model, "--parse-only"),
        ("inspect", model, "--parse-only", "--markdown"),
        ("settings", model),
        ("settings", model, "--flags"),
        ("settings", model, "--kotlin"),
        ("card", model, "--output", folder / "card\x1b[2J.md"),
        ("data", "check", "--dataset", "folder", "--data-dir", data),
        ("data", "prepare", "camvid32", "--output", folder / "x\x1b[2J\n"),
        ("evaluate", SHIPPED, "--dataset", "folder", "--data-dir", data, "--skip-bad"),
    ]


def through_a_pty(command, environment):
    """Exit code, and what a terminal gets of stdout and stderr."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        got = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            got += part
    os.close(ours)
    return process.returncode, got


def line_end(match):
    return "\n" if match[0] == "\r\n" else ""


def test_a_terminal_and_a_pipe_get_escapes(tmp_path):
    """One process for all commands: each starts as the command line does."""
    script = tmp_path / "commands.py"
    listed = [[os.fsencode(str(a)).hex() for a in c] for c in commands(tmp_path)]
    script.write_text(
        "import os, sys\n"
        "from fastscnn_tf.cli.main import main\n"
        f"for command in {listed!r}:\n"
        "    try:\n"
        "        main([os.fsdecode(bytes.fromhex(word)) for word in command])\n"
        "    except SystemExit as end:\n"
        "        print('END', end.code)\n"
    )
    command = [sys.executable, str(script)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    code, shown = through_a_pty(command, environment)
    text = re.sub(r"\r\n|\r|\x1b\[(\?25[lh]|K)", line_end, shown.decode())  # of progress bars
    assert code == 0, text
    check_printable(text)
    assert text.count("\nEND ") == len(listed)
    assert "internal error" not in text
    assert "\\x1b[2J" in text and "touch owned" in text
    for path in ((tmp_path / "card\x1b[2J.md"), *tmp_path.glob("*/report/*")):
        path.unlink()
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    check_printable((done.stdout + done.stderr).decode())


def test_json_is_ascii_and_has_no_control_characters(tmp_path, run):
    make_run(tmp_path)
    code, out, err = run("runs", "list", tmp_path, "--json", "-")
    assert (code, err) == (0, "") and out.isascii()
    check_printable(out)
    (found,) = json.loads(out)["runs"]
    assert list(found["class_iou"]) == list(NAMES)
