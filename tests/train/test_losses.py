"""Each term against a worked example or an independent float64 computation."""

import numpy as np
import pytest

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.keras_api import tensorflow
from fastscnn_tf.train.losses.loss_terms import OPTIONS, parse_terms
from fastscnn_tf.train.losses.pixel_losses import hard_pixels, near_border
from fastscnn_tf.train.losses.region_losses import BINS
from fastscnn_tf.train.losses.segmentation_loss import (
    SegmentationLoss,
    segmentation_loss,
    segmentation_losses,
)

WEIGHTS = (1.0, 3.0, 0.5, 2.0)
ALL_TERMS = [
    *OPTIONS,
    "cross_entropy + ohem(0.6, 0.3) + 0.5*dice + lovasz + 0.1*focal + boundary(1)",
]


def example():
    rng = np.random.default_rng(0)
    logits = (2 * rng.normal(size=(2, 8, 16, 4))).astype(np.float32)
    labels = rng.integers(0, 4, (2, 8, 16)).astype(np.uint8)
    labels[0, :3] = 255
    return labels, logits


def softmax(logits):
    power = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return power / power.sum(-1, keepdims=True)


def flat(labels, logits):
    """What is not void: labels (N,), probabilities (N, classes), those of the true class (N,)."""
    valid = labels != 255
    labels, p = labels[valid].astype(int), softmax(logits)[valid]
    return labels, p, p[np.arange(len(labels)), labels]


def loss_of(terms, labels, logits, **options):
    return float(SegmentationLoss(terms, **options)(labels, logits))


def gradient(loss, labels, logits):
    tf = tensorflow()
    x = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(labels, x)
    return tape.gradient(value, x).numpy()


def test_cross_entropy_is_the_mean_over_what_is_not_void():
    labels, logits = example()
    expected = -np.log(flat(labels, logits)[2]).mean()
    assert float(segmentation_loss(labels, logits)) == pytest.approx(expected, rel=1e-5)


def test_labels_may_have_a_channel_and_no_other_shape():
    y_true, y_pred = example()
    expected = float(SegmentationLoss()(y_true, y_pred))
    assert float(SegmentationLoss()(y_true[..., None], y_pred)) == expected
    with pytest.raises(ConfigError, match=r"of one-hot labels take the argmax"):
        SegmentationLoss()(np.zeros(y_pred.shape, np.float32), y_pred)


def test_cross_entropy_by_hand():
    logits = np.log(np.array([[[[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]]]], np.float32))
    labels = np.array([[[0, 1, 255]]])
    expected = -(np.log(0.5) + np.log(0.75)) / 2
    assert loss_of("cross_entropy", labels, logits) == pytest.approx(expected, rel=1e-6)
    weighted = -(1 * np.log(0.5) + 3 * np.log(0.75)) / (1 + 3)
    got = loss_of("cross_entropy", labels, logits, class_weights=(1, 3))
    assert got == pytest.approx(weighted, rel=1e-6)
    # Target 0.9 for the true class, 0.1 for the other one.
    first, second = -np.log(0.5), -(0.9 * np.log(0.75) + 0.1 * np.log(0.25))
    got = loss_of("cross_entropy", labels, logits, label_smoothing=0.2)
    assert got == pytest.approx((first + second) / 2, rel=1e-6)


def test_smaller_logits_read_the_label_at_cell_centres():
    labels, _ = example()
    logits = np.random.default_rng(1).normal(size=(2, 2, 4, 4)).astype(np.float32)
    for terms in ("cross_entropy", "ohem", "focal", "dice", "lovasz(1)"):
        centres = loss_of(terms, labels[:, 2::4, 2::4], logits)
        assert loss_of(terms, labels, logits) == pytest.approx(centres, rel=1e-6)


def test_the_border_is_that_of_the_whole_label_map():
    labels = np.zeros((1, 8, 8), int)
    labels[:, :, 3:] = 1  # columns 2 and 3 touch; the cells' centres are 2 and 6
    logits = np.log(np.array([0.2, 0.8], np.float32)) * np.ones((1, 2, 2, 1), np.float32)
    assert loss_of("boundary(1)", labels, logits) == pytest.approx(-np.log(0.2), rel=1e-6)
    both = -(np.log(0.2) + np.log(0.8)) / 2
    assert loss_of("boundary(4)", labels, logits) == pytest.approx(both, rel=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_ohem_keeps_hard_pixels_and_at_least_a_share(share):
    labels, logits = example()
    true = np.sort(flat(labels, logits)[2])
    kept = max((true < 0.3).sum(), int(np.ceil(share * len(true))))
    assert (kept > (true < 0.3).sum()) == (share > 0.5)  # so that both branches are run
    expected = -np.log(true[:kept]).mean()
    assert loss_of(f"ohem(0.3, {share})", labels, logits) == pytest.approx(expected, rel=1e-5)


def test_ohem_raises_its_threshold_to_what_is_needed():
    probability = np.array([[[0.1, 0.95, 0.97, 0.99, 0.5]]], np.float32)
    counted = np.array([[[True, True, True, True, False]]])
    kept = np.asarray(hard_pixels(probability, counted, 0.9, 0.5))
    assert kept.tolist() == [[[True, True, False, False, False]]]
    sure = np.ones((1, 1, 4), np.float32)
    assert np.asarray(hard_pixels(sure, sure > 0, 0.9, 0.25)).all()  # all equal: none is harder


def test_ohem_with_class_weights_divides_by_what_it_kept():
    labels, logits = example()
    classes, _, true = flat(labels, logits)
    weights = np.where(true < 0.5, np.take(WEIGHTS, classes), 0)
    expected = -(weights * np.log(true)).sum() / weights.sum()
    got = loss_of("ohem(0.5, 0)", labels, logits, class_weights=WEIGHTS)
    assert got == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal(gamma):
    labels, logits = example()
    classes, _, true = flat(labels, logits)
    weights = np.take(WEIGHTS, classes)
    expected = -(weights * (1 - true) ** gamma * np.log(true)).sum() / weights.sum()
    got = loss_of(f"focal({gamma})", labels, logits, class_weights=WEIGHTS)
    assert got == pytest.approx(expected, rel=1e-5)


def test_focal_by_hand():
    logits = np.log(np.array([[[[0.9, 0.1]]]], np.float32))
    expected = 0.1**2 * -np.log(0.9)
    assert loss_of("focal", np.zeros((1, 1, 1)), logits) == pytest.approx(expected, rel=1e-5)


def test_dice_by_hand():
    logits = np.log(np.array([[[[0.5, 0.5, 1e-9], [0.25, 0.75, 1e-9]]]], np.float32))
    first = 1 - 2 * 0.5 / (0.5**2 + 0.25**2 + 1)
    second = 1 - 2 * 0.75 / (0.5**2 + 0.75**2 + 1)
    expected = (first + second) / 2  # the third class does not occur
    got = loss_of("dice", np.array([[[0, 1]]]), logits)
    assert got == pytest.approx(expected, rel=1e-6)


def test_dice():
    labels, logits = example()
    labels[labels == 2] = 1
    classes, p, _ = flat(labels, logits)
    truth = np.eye(4)[classes]
    each = 1 - 2 * (p * truth).sum(0) / ((p**2).sum(0) + (truth**2).sum(0))
    expected = each[[0, 1, 3]].mean()
    assert loss_of("dice", labels, logits) == pytest.approx(expected, rel=1e-5)


def lovasz_softmax(labels, logits):
    """Algorithm 1 of Berman et al. 2018 by sorting, and its gradient with respect to p."""
    classes, p, _ = flat(labels, logits)
    present, total, slopes = np.unique(classes), 0.0, np.zeros_like(p)
    for c in present:
        own = (classes == c).astype(float)
        error = np.abs(own - p[:, c])
        order = np.argsort(-error)
        owns, others = np.cumsum(own[order]), np.cumsum(1 - own[order])
        jaccard = 1 - (own.sum() - owns) / (own.sum() + others)
        steps = np.diff(jaccard, prepend=0.0)
        total += (error[order] * steps).sum() / len(present)
        slopes[order, c] = steps * np.where(own[order] > 0, -1, 1) / len(present)
    return total, slopes


def test_lovasz_is_within_a_bin_of_sorting():
    labels, logits = example()
    labels[labels == 2] = 1
    expected, _ = lovasz_softmax(labels, logits)
    got = loss_of("lovasz(1)", labels, logits)
    assert expected - 1 / BINS <= got <= expected + 1e-6


def test_lovasz_by_hand():
    # Class 0 has errors 0.4 (own) and 0.3 (background): 0.4 * 1/1 + 0.3 * (1 - 1). Class 1 has
    # 0.4 (background), then 0.3 (own): 0.4 * 1/2 + 0.3 * 1/2.
    logits = np.log(np.array([[[[0.6, 0.4], [0.3, 0.7]]]], np.float32))
    expected = (0.4 + 0.35) / 2
    assert loss_of("lovasz(1)", np.array([[[0, 1]]]), logits) == pytest.approx(expected, rel=1e-6)


def test_gradient_of_lovasz_is_that_of_sorting():
    labels, logits = (x[:, 2:4, :6] for x in example())
    classes, p, _ = flat(labels, logits)
    errors = np.abs(np.eye(4)[classes] - p)
    assert all(len(set((column * BINS).astype(int))) == len(column) for column in errors.T)
    _, slopes = lovasz_softmax(labels, logits)
    expected = np.zeros(logits.shape)
    expected[labels != 255] = p * (slopes - (slopes * p).sum(-1, keepdims=True))
    got = gradient(SegmentationLoss("lovasz(1)"), labels, logits)
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["dice", "lovasz"])
def test_regions_may_be_looked_at_in_steps(name):
    labels, logits = example()
    some = labels[:, 1::2, 1::2], logits[:, 1::2, 1::2]
    expected = loss_of(f"{name}(1)", *some)
    assert loss_of(f"{name}(2)", labels, logits) == pytest.approx(expected, rel=1e-6)
    cells = logits[:, 2::4, 2::4]  # which are 4 pixels apart already
    expected = loss_of(f"{name}(1)", labels, cells)
    assert loss_of(f"{name}(2)", labels, cells) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("width", [1, 3])
def test_near_border_against_looking_at_every_neighbour(width):
    rng = np.random.default_rng(2)
    labels = np.kron(rng.integers(0, 3, (2, 3, 4)), np.ones((1, 7, 7), int))
    labels[:, 8:12, 5:9] = 255
    got = np.asarray(near_border(labels, width))
    for b, y, x in np.argwhere(labels != 255):
        window = labels[b, max(y - width, 0) : y + width + 1, max(x - width, 0) : x + width + 1]
        assert got[b, y, x] == (len(set(window[window != 255])) > 1)


@pytest.mark.parametrize("terms", ["cross_entropy", "ohem(0.5)", "focal(1.5)", "dice", "boundary"])
def test_gradients_by_finite_differences(terms):
    labels, logits = example()
    loss = SegmentationLoss(terms, class_weights=WEIGHTS, label_smoothing=0.1)
    slope = gradient(loss, labels, logits)
    direction = np.random.default_rng(3).normal(size=logits.shape).astype(np.float32)
    step = 2e-3
    ahead, behind = (float(loss(labels, logits + s * direction)) for s in (step, -step))
    assert (slope * direction).sum() == pytest.approx((ahead - behind) / (2 * step), rel=5e-3)


@pytest.mark.parametrize("terms", ALL_TERMS)
def test_nothing_but_void_gives_zero_and_no_gradient(terms):
    labels, logits = example()
    loss = SegmentationLoss(terms, class_weights=WEIGHTS, label_smoothing=0.1)
    void = np.full_like(labels, 255)
    assert float(loss(void, logits)) == 0.0
    assert not gradient(loss, void, logits).any()


@pytest.mark.parametrize("terms", ALL_TERMS)
def test_void_pixels_count_nowhere_and_extreme_logits_stay_finite(terms):
    labels, logits = example()
    loss, other = SegmentationLoss(terms.replace("lovasz", "lovasz(1)")), logits.copy()
    other[labels == 255] += np.arange(4)
    assert float(loss(labels, other)) == pytest.approx(float(loss(labels, logits)), rel=1e-6)
    assert not gradient(loss, labels, logits)[labels == 255].any()
    assert np.isfinite(gradient(loss, labels, 1000 * logits)).all()


def test_terms_add_up():
    labels, logits = example()
    each = {name: loss_of(name, labels, logits) for name in OPTIONS}
    expected = sum(each.values()) + each["dice"]
    text = " + ".join("2*dice" if name == "dice" else name for name in OPTIONS)
    assert loss_of(text, labels, logits) == pytest.approx(expected, rel=1e-6)


def test_parse_terms():
    terms = parse_terms(" ohem(0.6)+0.5 * dice + focal ( 1 )")
    assert terms == (("ohem", 1.0, (0.6, 0.0625)), ("dice", 0.5, (1,)), ("focal", 1.0, (1.0,)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cross_entrophy", 'no term "cross_entrophy", did you mean cross_entropy?'),
        ("mse", "known: cross_entropy, ohem, focal, dice, lovasz, boundary"),
        ("dice + 2*dice", "has the term dice twice"),
        ("0*dice", "factor of dice must be above 0, got 0"),
        ("-1*dice", "factor of dice must be above 0, got -1"),
        ("nan*dice", "factor of dice must be above 0, got nan"),
        ("two*dice", 'expected a number as factor of dice, got "two"'),
        ("cross_entropy(1)", "cross_entropy takes no options"),
        ("ohem(1.5)", "probability of ohem must be a number from 0 to 1, got 1.5"),
        ("ohem(0.7, 0.2, 3)", "ohem takes probability, share"),
        ("boundary(1.5)", "width of boundary must be a whole number from 1 to 64"),
        ("focal(x)", 'expected a number as gamma, got "x"'),
        ("", "expected a term"),
        ("dice +", "expected a term"),
        ("dice ohem", "expected a term"),
        (None, "expected a loss"),
    ],
)
def test_what_parse_terms_refuses(text, message):
    with pytest.raises(ConfigError) as error:
        parse_terms(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": (1, -1)}, "got -1 for class 1"),
        ({"class_weights": (1, None)}, "got None for class 1"),
        ({"class_weights": (0, 0)}, "must not all be 0"),
        ({"label_smoothing": 1}, "label_smoothing must be 0"),
    ],
)
def test_what_the_loss_refuses(options, message):
    with pytest.raises(ConfigError, match=message):
        SegmentationLoss(**options)


def test_class_weights_have_to_be_as_many_as_the_classes():
    with pytest.raises(ConfigError, match="got 2 class weights for 4 classes"):
        SegmentationLoss(class_weights=(1, 2))(*example())


@pytest.mark.parametrize("wrong", [4, 254, -1, 300])
@pytest.mark.parametrize("terms", ["cross_entropy", "dice"])
def test_a_label_that_is_no_class_is_an_error_that_names_it(terms, wrong):
    labels, logits = example()
    labels = labels.astype(np.int32)
    labels[1, 2, 3] = wrong
    error = tensorflow().errors.InvalidArgumentError
    with pytest.raises(error, match=rf"(?s)expected labels from 0 to 3, or 255.*\n{wrong}"):
        SegmentationLoss(terms)(labels, logits)


def test_losses_of_the_heads():
    loss = SegmentationLoss("ohem")
    made = segmentation_losses(True, ("a", "b"), loss, 0.25)
    assert made["loss"] == {"logits": loss, "aux_a": loss, "aux_b": loss}
    assert made["loss_weights"] == {"logits": 1.0, "aux_a": 0.25, "aux_b": 0.25}
    assert segmentation_losses(False, loss=loss) == {"loss": loss}
    assert set(segmentation_losses(True)["loss_weights"].values()) == {1.0, 0.4}
