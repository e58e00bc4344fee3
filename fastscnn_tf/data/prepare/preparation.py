"""Making a data set's folder: fetched where that is free, from the user's archives where not."""

from collections.abc import Sequence

from ...core.aliases import Progress, StrPath
from ...core.errors import ConfigError
from .arrange_cityscapes import prepare_cityscapes
from .download import ByteProgress, ignore_progress
from .fetch_camvid import URL, prepare_camvid
from .staging import PreparedData

FREE = ("camvid",)
FROM_ARCHIVES = ("cityscapes", "cityscapes-coarse")
TRAIN_SIZE = {"camvid": "352x480"}  # nearest multiples of 32; Cityscapes' own size is one


def prepare(
    name: str,
    output: StrPath,
    sources: Sequence[str] = (),
    force: bool = False,
    sha256: str | None = None,
    progress: ByteProgress = ignore_progress,
    steps: Progress = iter,
) -> PreparedData:
    """Fetches, unpacks and checks a data set; `origins.instructions` has words for the others.

    Args:
        name: `camvid`, or with `sources` also `cityscapes` and `cityscapes-coarse`.
        output: the data set's folder.
        sources: archives at hand, or for camvid one address.
        force: replace the data set's folders that are there.
        sha256: what the archive of camvid must hash to.
        progress: called with the bytes that have come.
        steps: wraps file numbers while unpacking.

    Raises:
        ConfigError: the name or number of archives does not fit.
        DataError, OutputError, FastSCNNError, Interrupted: as the two functions called.
    """
    if name in FROM_ARCHIVES and sources:
        if sha256:
            raise ConfigError("--sha256 is for camvid; the archives of cityscapes check themselves")
        return prepare_cityscapes(output, sources, force, steps=steps)
    if name not in FREE:
        raise ConfigError(f"--from unpacks {', '.join((*FREE, *FROM_ARCHIVES))}; not {name!r}")
    if len(sources) > 1:
        raise ConfigError(f"{name} comes in one archive, got {len(sources)}")
    source = sources[0] if sources else URL
    return prepare_camvid(output, source, force, sha256, progress=progress, steps=steps)
