"""The published accuracies of Fast-SCNN: data set, setting, claim, protocol and source.

Those on Cityscapes are the paper's, the others are of authors who trained Fast-SCNN as a baseline.
Where a protocol is not known in full, the row's note says so.
"""

from __future__ import annotations

import dataclasses

from .sizes import Size, format_size

SOURCES = {
    "paper": "Poudel, Liwicki, Cipolla: Fast-SCNN: Fast Semantic Segmentation Network, BMVC 2019 "
    "(arXiv:1902.04502)",
    "paper, benchmark": "Poudel et al., too; the Cityscapes benchmark lists their submissions 2487 "
    "(full size: 68.0156, categories 84.7353; fine and coarse labels), 2558 (half: 62.8271; fine "
    "and coarse labels) and 2603 (quarter: 51.9292; fine labels), all on test",
    "ISSAFE": "a baseline of DADA-seg's authors: Zhang, Yang, Stiefelhagen: ISSAFE, IROS 2021 "
    "(arXiv:2008.08974)",
    "DensePASS": "a baseline of DensePASS' authors: Ma, Zhang, Yang, Roitberg, Stiefelhagen: "
    "DensePASS, ITSC 2021",
    "EventScape": "an RGB baseline on EventScape (the data set: Gehrig et al., RA-L 2021)",
    "Trans4PASS+": "a baseline of SynPASS' authors: Zhang et al.: Behind Every Domain There is a "
    "Shift (arXiv:2207.11860)",
}
WITHHELD = (
    "its labels are withheld: submit the images of `fastscnn predict --format cityscapes` to "
    "the benchmark"
)


@dataclasses.dataclass(frozen=True)
class PublishedRow:
    """One published number and how it is measured here.

    Attributes:
        key: its name on the command line.
        dataset: name of the data set, as for `open_dataset`.
        setting: what tells it from the other rows of the data set.
        printed: the claim in percent mIoU, as it is printed.
        claimed_on: the split of the claim; empty where that is not known.
        split: the split that is scored here; None where its labels are withheld.
        size: input (height, width) of the network.
        scored: what the mean is taken over.
        images: images of `split`; None where their number is not known.
        source: key of `SOURCES`.
        another_training: whether a model for this row was trained otherwise than for the first
            row of the data set that can be scored.
        pad: whether `size` needs padding to multiples of 32.
        zeroed_skip: whether the high-resolution branch of the fusion is silenced.
        how: more on the protocol.
        note: what a reader of the comparison must know.
    """

    key: str
    dataset: str
    setting: str
    printed: str
    claimed_on: str
    split: str | None
    size: Size
    source: str
    scored: str = "19 classes"
    images: int | None = None
    another_training: bool = False
    pad: bool = False
    zeroed_skip: bool = False
    how: str = ""
    note: str = ""

    @property
    def claimed(self) -> float:
        """The claim in percent."""
        return float(self.printed)

    @property
    def protocol(self) -> str:
        """Split, input size, classes and the rest, in a few words."""
        if self.split is None:
            splits = f"{self.claimed_on} (labels withheld)"
        elif self.claimed_on == self.split:
            splits = self.split
        else:
            splits = f"claimed on {self.claimed_on or 'val or test'}, scored on {self.split}"
        parts = (splits, f"input {format_size(self.size)}", self.scored, self.how)
        return ", ".join(filter(None, parts))


_FULL = (1024, 2048)
_ZERO_SHOT = "zero-shot from Cityscapes"


def _on_val(
    key: str, setting: str, printed: str, zeroed_skip: bool = False, note: str = ""
) -> PublishedRow:
    """A row of the paper's comparisons on Cityscapes' val."""
    return PublishedRow(
        *(f"cityscapes-{key}", "cityscapes", setting, printed, "val", "val", _FULL, "paper"),
        images=500,
        another_training=key != "val",
        zeroed_skip=zeroed_skip,
        note=note,
    )


def _on_test(
    key: str, setting: str, printed: str, size: Size, another_training: bool = False
) -> PublishedRow:
    """A claim on Cityscapes' test at a smaller size, which val stands in for."""
    return PublishedRow(
        *(f"cityscapes-{key}", "cityscapes", setting, printed, "test", "val", size),
        "paper, benchmark",
        images=500,
        another_training=another_training,
        note="the claim is of test, whose labels are withheld: the difference has the two splits "
        "in it",
    )


PUBLISHED = (
    PublishedRow(
        *("cityscapes-test", "cityscapes", "class mIoU", "68.0", "test", None, _FULL),
        "paper, benchmark",
        note=WITHHELD,
    ),
    PublishedRow(
        *("cityscapes-test-category", "cityscapes", "category mIoU", "84.7", "test", None, _FULL),
        "paper, benchmark",
        scored="7 categories",
        note=WITHHELD,
    ),
    _on_val("val", "from scratch, fine labels", "68.62"),
    _on_val("val-imagenet", "+ ImageNet", "69.15"),
    _on_val("val-coarse", "+ coarse labels", "69.22"),
    _on_val("val-imagenet-coarse", "+ ImageNet and coarse labels", "69.19"),
    _on_test("half", "half input, + coarse labels", "62.8", (512, 1024), another_training=True),
    _on_test("quarter", "quarter input", "51.9", (256, 512)),
    _on_val(
        "zeroed-skip",
        "+ coarse labels, skip connection zeroed",
        "64.30",
        zeroed_skip=True,
        note="give the model of cityscapes-val-coarse: its high-resolution branch is silenced here",
    ),
    PublishedRow(
        *("dada-seg", "dada-seg", "trained on Cityscapes", "26.32", "val", "val", (512, 1024)),
        "ISSAFE",
        how=f"border cut off, {_ZERO_SHOT}",
        note="a baseline of the data set's authors, not of the Fast-SCNN paper",
    ),
    PublishedRow(
        *("densepass", "densepass", "trained on Cityscapes", "24.6", "val", "val", (400, 2048)),
        "DensePASS",
        images=100,
        pad=True,
        how=_ZERO_SHOT,
        note="a baseline of the data set's authors, not of the Fast-SCNN paper; taken to be of the "
        "data set's 19 classes, the 13 came later",
    ),
    PublishedRow(
        *("eventscape", "eventscape", "trained on EventScape", "44.27", "", "test", (256, 512)),
        "EventScape",
        scored="12 classes",
        how="RGB only",
        note="a baseline, not of the Fast-SCNN paper; split and choice of frames of the claim are "
        "not known here",
    ),
    PublishedRow(
        *("synpass", "synpass", "trained on SynPASS", "21.3", "", "test", _FULL),
        "Trans4PASS+",
        scored="22 classes",
        images=1690,
        note="a baseline of the data set's authors, not of the Fast-SCNN paper; taken to be of the "
        "data set's 22 classes; split and input size of the claim are not known here",
    ),
)
