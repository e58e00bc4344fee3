"""What a file is, by its first bytes: the formats of images that are read, and names for others.

The name of a file says nothing: an EPS named .png would run a PostScript interpreter.
"""

import re
from pathlib import PurePath

HEAD = 1024  # bytes that tell what a file is
EXPECTED = "JPEG, PNG, BMP, TIFF, GIF, WebP, AVIF or PPM"
LOSSY = ("JPEG", "WEBP", "AVIF")  # blur values and colours where they meet
# Files with such names are taken for images in folders.
IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".dib", ".webp", ".tif", ".tiff"),
    *(".gif", ".avif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
# Those that a video may have: watch takes it.
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")

# Pillow's name of each format that is read. JPEG includes the MPO of phones.
_READ = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "BMP": rb"BM",
    "TIFF": rb"II[*+]\0|MM\0[*+]|II\0\*|MM\*\0",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF.{4}WEBP",
    "AVIF": rb".{4}ftyp(avi[fs]|(mif1|msf1).{4}(.{4}){0,15}avi[fs])",
    "PPM": rb"P[1-6f][\s#]",
}
_CONVERT = "convert it"
_OTHERS = (
    (rb"%!PS|\xc5\xd0\xd3\xc6", "an EPS file", _CONVERT),
    (rb"%PDF", "a PDF", _CONVERT),
    (rb"DDS ", "a DDS file", _CONVERT),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 image", _CONVERT),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "a JPEG XL image", _CONVERT),
    (rb".{4}ftyp(hei|hev|mif1|msf1)", "an HEIC photo", "convert it, or let the phone save JPEG"),
    (rb".{4}ftypcrx |FUJIFILMCCD|II(RO|RS|U\0)", "a raw photo", "develop it into JPEG or TIFF"),
    (rb".{4}(ftyp|moov|mdat)|RIFF.{4}AVI |\x1aE\xdf\xa3", "a video", "watch takes videos"),
    (rb"8BPS|gimp xcf", "a file of Photoshop or GIMP", _CONVERT),
    (rb"\0\0[\x01\x02]\0|icns", "an icon or a TGA file", _CONVERT),
    (rb"v/1\x01|#\?RA|SIMPLE  =", "an EXR, HDR or FITS image", _CONVERT),
    (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "a Windows metafile", _CONVERT),
    (rb"\x01\xda|P7\s|\n[\x00-\x05]\x01[\x01\x02\x04\x08]", "an SGI, PAM or PCX file", _CONVERT),
    (rb"PK[\x03\x05]|\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ", "an archive", "unpack it"),
    (rb"\x93NUMPY|\x89HDF", "a file of arrays", _CONVERT),
    (rb"\x7fELF|MZ", "a program", "is this the right file?"),
    (rb"version https://git-lfs", "a Git LFS pointer", "fetch the file itself: git lfs pull"),
    (
        rb"(\xef\xbb\xbf)?\s*<(?i:!doctype html|html|head|body)",
        "an HTML page",
        "the download gave a page instead of the image: fetch it again, or end a folder's "
        "address with /",
    ),
    (rb"(\xef\xbb\xbf)?\s*<(\?xml|svg|!)", "an SVG drawing or other XML", _CONVERT),
    (rb"[\t\r\n\x20-\x7e]{16}", "a text file", "is this the right file?"),
)
_FORMAT_OF = tuple((name, re.compile(p, re.DOTALL)) for name, p in _READ.items())
_OTHER = tuple((re.compile(p, re.DOTALL), what, advice) for p, what, advice in _OTHERS)


def image_format(content: bytes) -> str | None:
    """Pillow's name of an image's format, or None if it is none of those that are read."""
    return next((name for name, sign in _FORMAT_OF if sign.match(content)), None)


def what_it_is(content: bytes, name: str) -> str:
    """Names a file that is not a readable image: what it is, what was expected, what to do.

    Args:
        content: of the file; its first bytes suffice.
        name: of the file.
    """
    if not content:
        return "not a readable image (cannot identify it: an empty file)"
    for sign, what, advice in _OTHER:
        if sign.match(content, 0, HEAD):
            suffix = PurePath(name).suffix.lower()
            named = f" named {suffix}" if suffix in IMAGE_SUFFIXES else ""
            return f"not a readable image ({what}{named}, expected {EXPECTED}: {advice})"
    return f"not a readable image (cannot identify its format; expected {EXPECTED})"
