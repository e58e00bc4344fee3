"""Text of strangers goes out so that no reader takes it for anything but text."""

import shutil
import subprocess

import pytest

from fastscnn_tf.core.foreign_text import (
    comment,
    html,
    markdown,
    markdown_code,
    one_line,
    printable,
    shell_word,
)


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
    ],
)
def test_markdown(text, shown):
    assert markdown(text) == shown


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


def test_comment_ends_nothing():
    assert comment("a */ b\nfun c()") == "a * / b fun c()"
