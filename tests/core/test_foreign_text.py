"""Text of strangers goes out so that no reader takes it for anything but text."""

import ast
import json
import shutil
import subprocess

import pytest

from fastscnn_tf.core.files.json_text import dump_json, plain
from fastscnn_tf.core.foreign_text import (
    Markdown,
    comment,
    html,
    kotlin_string,
    markdown,
    markdown_cell,
    markdown_code,
    one_line,
    printable,
    printable_lines,
    python_string,
    shell_path,
    shell_word,
)
from fastscnn_tf.core.text_table import markdown_table, text_table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Straße 道路 🚗", "Straße 道路 🚗"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("x\u202egnp.exe", "x\\u202egnp.exe"),
        ("\udce9", "\\udce9"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown
    shown.encode("utf-8")


def test_joiners_of_scripts_stay():
    assert printable("क्\u200dष") == "क्\u200dष"


def test_one_line():
    assert one_line(" a \n\n b\x07") == "a b\\x07"


def test_html_leaves_no_markup():
    assert html('<img src=x onerror="a()">&') == "&lt;img src=x onerror=&quot;a()&quot;&gt;&amp;"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b\n# c", r"a\|b \# c"),
        ("<script>", r"\<script\>"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("[a](javascript:b)", r"\[a\](javascript:b)"),
        ("&lt;", r"\&lt;"),
        ("sky", "sky"),
        ("batch_size __init__ _a_ b_", r"batch_size \_\_init\_\_ \_a\_ b\_"),
        ("https://h.example www.h.example", r"https\://h.example www\.h.example"),
    ],
)
def test_markdown(text, shown):
    assert markdown(text) == shown
    assert markdown(markdown(text)) == shown  # what is Markdown already stays


def test_a_cell_begins_no_line():
    assert [markdown_cell(text) for text in ("-", "+0.5", "1. a")] == ["-", "+0.5", "1. a"]
    table = markdown_table(("a|b", ""), [(-1, Markdown("**x**")), (None, "*")], right=[0])
    assert table == "| a\\|b |  |\n|---:|---|\n| -1 | **x** |\n| None | \\* |"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a.tflite", "`a.tflite`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("", "` `")],
)
def test_markdown_code(text, shown):
    assert markdown_code(text) == shown


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize("text", ["a b", "$(id)", "a'b", "a\nb", "`id`", "\x1b[1m'\\", "", "ü\n"])
def test_shell_word_is_one_word(text):
    script = f"printf %s {shell_word(text)}"
    assert "\n" not in script
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode() == text


def test_a_path_is_no_option():
    assert [shell_path(p) for p in ("-x y", "a", "--force")] == ["'./-x y'", "a", "./--force"]


CODE = [
    "a",
    'a"b',
    "a'b",
    "a\\",
    "\\\"'",
    "\n\r\t\0",
    "$x ${y}",
    "\u202e\ud800\U0001f600\U000e0001",
]


@pytest.mark.parametrize("text", CODE)
def test_literals_of_python_and_json(text):
    assert ast.literal_eval(python_string(text)) == text
    assert json.loads(dump_json(text)) == plain(text)
    for literal in (python_string(text), dump_json(text)):
        assert literal.isprintable() and literal.startswith('"')
    assert dump_json("\x7f") == '"\\u007f"'


def test_literals_of_kotlin():
    assert kotlin_string("a\"b'\\$x") == '"a\\"b\'\\\\\\$x"'
    assert kotlin_string("\n\u202e\ud800ß") == '"\\u000a\\u202e\\ud800ß"'
    assert kotlin_string("\U000e0001") == '"\\udb40\\udc01"'


def test_lines_stay_one_each():
    assert printable_lines(["a\nb", 1, "\x1b"]) == "a\\nb\n1\n\\x1b"
    assert text_table([("a\nb", "c"), ("d", "e")]) == "a\\nb  c\nd     e"


def test_comment_ends_nothing():
    assert comment("a */ b\nfun c()") == "a * / b fun c()"
