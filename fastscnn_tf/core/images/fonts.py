"""Letters for images: Pillow's own font, or one of this system that has what that one lacks."""

import functools
import itertools
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import ImageFont

from ..foreign_text import printable

# Where systems and users keep fonts: Linux, macOS, Windows, Android.
PLACES = (
    *("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"),
    *("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"),
    *(f"{os.environ.get('WINDIR', 'C:/Windows')}/Fonts", "/system/fonts"),
)
SUFFIXES = (".ttf", ".ttc", ".otf")
# Families with the letters of many scripts, which are tried first.
LARGE = ("cjk", "unifont", "arialuni", "droidsansfallback", "wqy", "gothic", "pingfang", "noto")
TRIED = 400  # fonts that are opened at most
LISTED = 20_000
_NO_LETTER = "\U0010ffff"
_PLAIN = "Aa0.%"


def lettering(texts: Sequence[str], height: int) -> tuple[list[str], Any]:
    """Texts in one line each as they can be drawn, and the font for lines of so many pixels.

    Letters that neither Pillow's own font nor one of this system has become `?`, see `drawable`.
    """
    size, letters = max(8, round(height * 0.72)), foreign_letters(texts)
    file = font_with(letters) if letters else None
    if file:
        return [printable(text) for text in texts], ImageFont.truetype(file, size)
    return [drawable(text) for text in texts], ImageFont.load_default(size)


def foreign_letters(texts: Sequence[str]) -> frozenset[str]:
    """Letters for which ASCII has nothing."""
    kept = itertools.chain.from_iterable(map(printable, texts))
    return frozenset(c for c in kept if drawable(c) == "?" and c != "?")


def drawable(text: str) -> str:
    """The text in one line of ASCII, which is all that Pillow's own font has.

    Accents are dropped; what has no letter left becomes `?`.

    Example:
        >>> drawable("Straße für 車")
        'Strasse fur ?'
    """
    letters = unicodedata.normalize("NFKD", printable(text).replace("ß", "ss"))
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return plain.encode("ascii", "replace").decode("ascii")


@functools.lru_cache(maxsize=64)
def font_with(letters: frozenset[str]) -> str | None:
    """The file of a font of this system that has all these letters; None where none has."""
    return next((file for file in _font_files() if _has(file, letters)), None)


def _has(file: str, letters: frozenset[str]) -> bool:
    try:
        font = ImageFont.truetype(file, 16)
        lacking = bytes(font.getmask(_NO_LETTER))  # what stands for a letter that is not there
        drawn = [bytes(font.getmask(c)) for c in (*_PLAIN, *letters)]
        # A font of last resort draws one box for all letters of a script.
        return lacking not in drawn and len({*drawn[: len(_PLAIN)]}) == len(_PLAIN)
    # Damaged, of a kind that FreeType cannot draw, or letters that Raqm cannot place.
    except (OSError, ValueError, TypeError, RuntimeError):
        return False


@functools.cache
def _font_files() -> tuple[str, ...]:
    places = (Path(place).expanduser() for place in PLACES)
    paths = (Path(top, name) for p in places for top, _, names in os.walk(p) for name in names)
    fonts = itertools.islice((p for p in paths if p.suffix.lower() in SUFFIXES), LISTED)
    return tuple(map(str, sorted(fonts, key=_rank)[:TRIED]))


def _rank(path: Path) -> tuple[bool, bool, str]:
    """Large families first, upright and plain ones before others."""
    name = path.name.lower()
    slanted = any(word in name for word in ("bold", "italic", "oblique", "serif", "mono", "light"))
    return not any(part in name for part in LARGE), slanted, name
