"""Names that want to be markup or code, read by a real browser and a real Kotlin compiler."""

from __future__ import annotations

import os
import subprocess

import pytest
from hostile_texts import NAMES, OWNED, make_pages
from jvm_tools import kotlinc
from markdown_it import MarkdownIt

from fastscnn_tf.core.foreign_text import comment, kotlin_string

# Everything that runs, frames, sends or fetches something.
ACTIVE = "script, iframe, object, embed, link, base, form, a, svg, video, [onerror], [onload]"

PICTURES = {"curves.png", "class_iou.png", "confusion.png"}  # of the run's report, beside it


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return make_pages(tmp_path_factory.mktemp("pages"))


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page from a file; what it requests besides is listed."""
    contexts = []

    def opened(text):
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        context = browser.new_context()
        contexts.append(context)
        page, requests = context.new_page(), []
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri(), wait_until="load")
        return page, [url for url in requests if not url.startswith(("data:", path.as_uri()))]

    yield opened
    for context in contexts:
        context.close()


def as_html(text):
    """Markdown as a renderer shows it that lets HTML through, on a page without a policy."""
    body = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    return f"<!doctype html><meta charset=utf-8><title>card</title>{body}"


def test_pages_show_names_and_run_nothing(pages, show):
    for name, text in pages.items():
        page, requests = show(text if name.endswith(".html") else as_html(text))
        assert page.title() != "owned", name
        assert {url.rpartition("/")[2] for url in requests} <= PICTURES, name
        assert page.locator(ACTIVE).count() == 0, name
        sources = page.locator("img").evaluate_all("all => all.map((i) => i.getAttribute('src'))")
        assert all(s.startswith("data:") or s in PICTURES for s in sources), name
        if "reproduction" not in name and "inspect" not in name:
            assert OWNED in page.locator("body").inner_text(), name


def test_a_policy_stops_what_would_get_through(pages, show):
    """The same pages with their escapes undone, with the policy and without it."""
    for name, text in pages.items():
        if name.endswith(".html"):
            attack = f"</table></section><script>{OWNED}</script><img src=x onerror={OWNED}>"
            page, requests = show(text.replace("</main>", f"{attack}</main>"))
            assert page.title() != "owned", name
            assert [url for url in requests if not url.endswith("/x")] == []
            width = page.evaluate("getComputedStyle(document.body).maxWidth")
            assert width != "none", f"{name}: its own style is refused"
            bare = text.replace('http-equiv="Content-Security-Policy"', "")
            page, _ = show(bare.replace("</main>", f"{attack}</main>"))
            assert page.title() == "owned", name


def test_kotlin_reads_strings_and_comments_as_they_were(target_tools, tmp_path):
    tools = target_tools("jvm")
    texts = [*NAMES, *map(comment, NAMES), "\U0001f600\U000e0001\\u0041"]
    lines = [f"// {comment(name)}\n/** {comment(name)} */" for name in NAMES]
    strings = ",\n".join(map(kotlin_string, texts))
    source = tmp_path / "Words.kt"
    units = 'for (t in texts) println(t.map { it.code }.joinToString(" "))'
    source.write_text(
        "\n".join([*lines, f"val texts = listOf({strings})", f"fun main() {{ {units} }}", ""]),
        encoding="utf-8",
    )
    made = kotlinc(tools, "words", [source])
    path = os.pathsep.join(map(str, (made, tools / "kotlin" / "lib" / "kotlin-stdlib.jar")))
    done = subprocess.run(
        ["java", "-cp", path, "WordsKt"], capture_output=True, text=True, check=True
    )
    for text, line in zip(texts, done.stdout.splitlines(), strict=True):
        encoded = text.encode("utf-16-le", "surrogatepass")
        assert [int(unit) for unit in line.split()] == list(memoryview(encoded).cast("H"))
