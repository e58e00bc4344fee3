"""`benchmarks/scaling_model.py` finds the numbers that measurements were made of, and adds up."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import scaling_model as sm
from scaling_worker import collectives

TRUE = sm.Model(0.03, 0.05, 0.006, 4e-5, 1e-5, 1e-9, 1.1, 1.04)
CASES = [[1.0, 2], [1.0, 8], [0.5, 4], [1.0, 4]]
OPERATIONS = [["all-reduce", [256, 256]]] * 75 + [["all-reduce", [48_000] * 100]]


def measured(model):
    """What `scaling.py speed` would write if the model were the truth; width 0.5 takes half."""
    sent = sm.communication(model, sm.arrays(OPERATIONS))
    seconds = []
    for width, pairs in CASES:
        alone, given = width * (model.fixed + model.pair * pairs), model.given * pairs
        both, fed = model.crowd * alone, model.crowd * (alone + given)
        values = {"alone": alone, "both": both, "pair": both * model.wait + sent, "input": given}
        values |= {"alone_fed": alone + given, "pair_fed": fed * model.wait + sent, "reduce": sent}
        seconds.append({name: [value] * 3 for name, value in values.items()})
    plain = {"small_messages": [256] * 40, "large_messages": [1 << 20] * 4}
    of = {name: sm.communication(model, v) for name, v in plain.items()}
    return {
        **plain,
        "small": [of["small_messages"]] * 3,
        "large": [of["large_messages"]] * 3,
        "free": [sm.communication(model, plain["small_messages"], free=True)] * 3,
        "cases": CASES,
        "size": [128, 224],
        "messages": [OPERATIONS] * len(CASES),
        "seconds": seconds,
        "versions": {},
        "cpu": "",
        "rounds": 3,
        "steps": 5,
    }


def test_the_fit_finds_the_numbers_and_has_no_error():
    found = measured(TRUE)
    fitted = sm.fit(found)
    assert vars(fitted) == pytest.approx(vars(TRUE))
    for row in sm.measured_table(found, fitted).splitlines()[2:]:
        assert row.count("0 %)") == 5 and "(+0 %)" in row.replace("-0", "+0"), row


def test_communication_of_a_ring_and_a_tree():
    """4 workers on 1 Gbit/s: 6 rounds of a ring, 4 of a tree; 1.5 times the bytes at 8 ns each."""
    two = [1000, 3000]
    wire = 1.5 * 4000 * 8e-9
    latency = TRUE.latency + sm.LINKS[1]
    assert sm.communication(TRUE, two, 4, 1) == pytest.approx(2 * 6 * latency + wire)
    assert sm.communication(TRUE, two, 4, 1, tree=True) == pytest.approx(2 * 4 * latency + wire)
    assert sm.communication(TRUE, two, 1, 1) == 0
    # A link that is faster than loopback leaves what the software takes.
    fast = sm.communication(TRUE, two, 2, 100)
    assert fast == pytest.approx(2 * 2 * (TRUE.latency + sm.LINKS[100]) + 4000 * TRUE.byte)


def test_an_operation_is_one_message_where_it_is_gathered():
    found = [machine.sends(TRUE, OPERATIONS, 8, 10) for machine in sm.MACHINES]
    each, whole = sm.arrays(OPERATIONS), [512] * 75 + [4_800_000]
    assert found[0] == sm.communication(TRUE, each, 8, 10)
    assert found[1] == found[2] == sm.communication(TRUE, each, 8, 10, free=True) < found[0]
    assert found[3] == pytest.approx(sm.communication(TRUE, whole, 8, 10, tree=True, free=True))


def test_the_least_pairs_are_the_least():
    found, machine = measured(TRUE), sm.MACHINES[2]
    pairs = int(sm._least(found, TRUE, machine, 8, 10))
    for count, enough in ((pairs, True), (pairs - 1, False)):
        own = machine.own(TRUE, sm._pixels(found), count)
        step = own * TRUE.wait + machine.sends(TRUE, OPERATIONS, 8, 10)
        assert (own / step >= sm.ENOUGH) == enough


def test_collective_operations_are_read_from_hlo():
    text = """
  %all-reduce.1 = f32[3,3,3,32]{3,2,1,0} all-reduce(%add), channel_id=1, to_apply=%region
  %all-reduce.2 = (f32[], bf16[8]{0}) all-reduce(%a, %b), channel_id=2
  %g = f32[16]{0} fusion(%all-reduce.1), kind=kLoop
  ROOT %all-gather = s32[4,2]{1,0} all-gather(%x), channel_id=3
"""
    assert collectives(text) == [
        ("all-reduce", [3456]),
        ("all-reduce", [4, 16]),
        ("all-gather", [32]),
    ]
