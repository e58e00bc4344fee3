"""Splits by fraction: stable, whole groups, no split empty."""

import pytest

from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.data.datasets.splitting import assign

THREE = {"train": 0.8, "val": 0.1, "test": 0.1}
NAMES = [f"seq{i % 40:02d}/frame_{i:04d}.jpg" for i in range(2000)]


def test_shares_come_out_about_as_asked_for():
    found = assign(NAMES, THREE)
    for split, share in THREE.items():
        assert found.count(split) / len(found) == pytest.approx(share, abs=0.03)


def test_added_and_removed_files_move_no_others():
    before = dict(zip(NAMES, assign(NAMES, THREE), strict=True))
    some = [*NAMES[:1000:2], *(f"new_{i}.png" for i in range(300))]
    after = dict(zip(some[::-1], assign(some[::-1], THREE), strict=True))
    assert all(after[name] == before[name] for name in NAMES[:1000:2])


def test_seed_decides():
    assert assign(NAMES, THREE, seed=1) == assign(NAMES, THREE, seed=1)
    assert assign(NAMES, THREE, seed=1) != assign(NAMES, THREE, seed=2)


@pytest.mark.parametrize("pattern", [r"(seq\d+)/", r"seq\d+", r"^([^/]+)/"])
def test_a_group_is_never_torn(pattern):
    found = assign(NAMES, THREE, group=pattern)
    of = {
        name: {s for n, s in zip(NAMES, found, strict=True) if n[:5] == name}
        for name in {name[:5] for name in NAMES}
    }
    assert len(of) == 40 and all(len(splits) == 1 for splits in of.values())
    assert set(found) == set(THREE)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_no_split_is_empty(count):
    for seed in range(50):
        names = [f"p{i:02d}.jpg" for i in range(count)]
        found = assign(names, {"train": 0.8, "val": 0.2}, seed)
        assert set(found) == {"train", "val"}
        assert dict(zip(names, found, strict=True)) == dict(
            zip(names[::-1], assign(names[::-1], {"train": 0.8, "val": 0.2}, seed), strict=True)
        )


def test_composed_and_decomposed_names_are_the_same():
    assert assign(["\u00fc.jpg", "a", "b"], THREE) == assign(["u\u0308.jpg", "a", "b"], THREE)


def test_what_cannot_be_split_is_refused():
    with pytest.raises(DataError, match="1 images cannot be split into 2"):
        assign(["a.jpg"], {"train": 0.8, "val": 0.2})
    with pytest.raises(DataError, match=r"1 groups cannot"):
        assign(["s_1", "s_2"], {"train": 0.8, "val": 0.2}, group="^s")
    with pytest.raises(DataError, match=r"does not match 'b_1' \(1 of 2"):
        assign(["a_1", "b_1"], {"train": 0.5, "val": 0.5}, group="^a")
    with pytest.raises(ConfigError, match="not a regular expression"):
        assign(["a"], {"train": 1}, group="(")
    for shares in (
        {"train": 0.8, "val": 0.1},
        {"train": 1.2, "val": -0.2},
        {},
        {"a": float("nan")},
    ):
        with pytest.raises(ConfigError, match="1 together"):
            assign(["a"], shares)
