"""No dependency is pinned at, or allowed down to, a version that is known to be faulty."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FAULTS = tomllib.loads((ROOT / "tests" / "known_faults.toml").read_text())["fault"]
PINNED = [
    Requirement(line)
    for line in (ROOT / "requirements.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
ALLOWED = [
    Requirement(text)
    for group in (
        PROJECT["project"]["dependencies"],
        *EXTRAS.values(),
        PROJECT["build-system"]["requires"],
    )
    for text in group
]


def faulty(name, version):
    """The faults of one version of a package."""
    return [
        ", ".join(fault["ids"])
        for fault in FAULTS
        if canonicalize_name(fault["package"]) == canonicalize_name(name)
        and Version(fault.get("from", "0")) <= Version(version) < Version(fault["below"])
    ]


def lowest(requirement):
    """The lower bound of a requirement, or None."""
    bounds = [s.version for s in requirement.specifier if s.operator in (">=", "==", "~=")]
    return max(bounds, key=Version, default=None)


def lowest_tested(group):
    """name -> version in an environment of `make lowest`."""
    lines = (ROOT / "tests" / "lowest" / f"{group}.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(pin.name): Version(lowest(pin)) for pin in pins}


@pytest.mark.parametrize("group", ["runtime", "train", "search"])
def test_the_lowest_versions_are_those_that_are_tested(group):
    extra = PROJECT["project"]["dependencies"] if group == "runtime" else EXTRAS[group]
    tested = lowest_tested("runtime" if group == "runtime" else "train")
    for requirement in map(Requirement, extra):
        version = tested[canonicalize_name(requirement.name)]
        assert version in requirement.specifier
        bound = Version(lowest(requirement)).release
        assert version.release[: len(bound)] == bound


@pytest.mark.parametrize("requirement", PINNED, ids=lambda r: r.name)
def test_pinned(requirement):
    assert not faulty(requirement.name, lowest(requirement))


@pytest.mark.parametrize("requirement", ALLOWED, ids=str)
def test_lower_bounds(requirement):
    bound = lowest(requirement)
    assert bound is None or not faulty(requirement.name, bound)


def test_faults_are_told_apart():
    assert faulty("Pillow", "12.1.1") and faulty("pillow", "10.1") and not faulty("pillow", "13.0")
    assert faulty("protobuf", "6.33.4") and not faulty("protobuf", "5.29.6")


def test_the_list_is_well_formed():
    for fault in FAULTS:
        assert Version(fault.get("from", "0")) < Version(fault["below"])
        assert all(re.fullmatch(r"(CVE-\d{4}-\d+|GHSA(-\w{4}){3})", name) for name in fault["ids"])
        assert fault["what"]
