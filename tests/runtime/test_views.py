"""Views and windows, on predictors of plain numpy whose answers are known."""

import numpy as np
import pytest

from fastscnn_tf.core.errors import ConfigError, NonFiniteLogits
from fastscnn_tf.evaluation.evaluate import open_inference
from fastscnn_tf.scoring.averaged_views import AveragedViews, SlidingWindows, softmax
from fastscnn_tf.scoring.views import Views, WholeImage


class PerPixel:
    """Two classes: the class is whether the pixel is light. Equivariant to flips and shifts."""

    num_classes = 2

    def __init__(self, size=(16, 24)):
        self.input_size = size

    def run(self, image):
        assert image.shape == (*self.input_size, 3)
        assert image.flags["C_CONTIGUOUS"]
        light = image[..., 0].astype(np.float32) - 100
        return np.stack([-light, light], -1)


class Ramp:
    """Class by column of the input, whatever the image: three stripes of a third each."""

    num_classes, input_size = 3, (8, 12)

    def run(self, image):
        logits = np.zeros((8, 12, 3), np.float32)
        for c in range(3):
            logits[:, c * 4 : c * 4 + 4, c] = 9
        return logits


class Fixed:
    """The same logits at every pixel."""

    input_size = (8, 8)

    def __init__(self, *logits, scale=None, outputs=None):
        self.logits, self.num_classes = np.array(logits), len(logits)
        if scale:
            self.logit_scale = scale
        if outputs:
            self.outputs = outputs

    def run(self, image):
        return np.broadcast_to(self.logits, (8, 8, self.num_classes))


def picture(size, seed=0):
    grey = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def test_one_view_is_the_whole_image():
    image, predictor = picture((16, 24)), PerPixel()
    plain = WholeImage(predictor).label_map(image, (16, 24))
    assert np.array_equal(AveragedViews([predictor]).label_map(image, (16, 24)), plain)
    assert isinstance(open_inference(predictor, scales=(1.0,))[0], WholeImage)


def test_views_of_an_equivariant_predictor_change_nothing():
    image, predictor = picture((16, 24)), PerPixel()
    light = (image[..., 0] > 100).astype(np.uint8)
    for inference in (
        AveragedViews([predictor], flip=True),
        SlidingWindows(PerPixel((8, 8)), (3, 5)),
        SlidingWindows(PerPixel((8, 8)), (3, 5), flip=True),
        SlidingWindows(predictor, (1, 1)),
    ):
        assert np.array_equal(inference.label_map(image, (16, 24)), light)


def test_the_mirrored_view_is_mirrored_back():
    """Stripes 0 1 2 and, mirrored, 2 1 0: in the middle they agree, outside they tie."""
    labels = AveragedViews([Ramp()], flip=True).label_map(picture((8, 12)), (8, 12))
    assert labels[0].tolist() == [0] * 4 + [1] * 4 + [0] * 4


def test_probabilities_are_averaged_not_logits():
    """Logits add up to 10 and 6, probabilities to 1.09 and 1.91."""
    views = AveragedViews([Fixed(10.0, 0.0), Fixed(0.0, 3.0), Fixed(0.0, 3.0)])
    assert (views.label_map(picture((8, 8)), (5, 7)) == 1).all()
    once = AveragedViews([Fixed(10.0, 0.0), Fixed(0.0, 3.0)])
    assert (once.label_map(picture((8, 8)), (5, 7)) == 0).all()


def test_integers_are_scaled_before_the_softmax():
    """Steps of 0.01: 1.0 and 0.3 twice, where the unscaled would saturate to 1 against 2."""
    weak = [Fixed(100, 0, scale=0.01), Fixed(0, 30, scale=0.01), Fixed(0, 30, scale=0.01)]
    assert (AveragedViews(weak).label_map(picture((8, 8)), (8, 8)) == 0).all()
    strong = [Fixed(100, 0), Fixed(0, 30), Fixed(0, 30)]
    assert (AveragedViews(strong).label_map(picture((8, 8)), (8, 8)) == 1).all()


def test_probabilities_get_no_second_softmax():
    """0.9 + 0.3 + 0.3 = 1.5 for three classes against 0.05 + 0.65 + 0.65 and 0.05 + 0.05 + 0.05."""
    rows = ((0.9, 0.05, 0.05), (0.3, 0.65, 0.05), (0.3, 0.65, 0.05))
    done = [Fixed(*row, outputs="prob") for row in rows]
    assert (AveragedViews(done).label_map(picture((8, 8)), (8, 8)) == 0).all()


def test_windows_side_by_side_are_tiles():
    labels = SlidingWindows(Ramp(), (8, 12)).label_map(picture((16, 36)), (16, 36))
    assert labels[0].tolist() == ([0] * 4 + [1] * 4 + [2] * 4) * 3
    assert (labels == labels[0]).all()


def test_the_last_window_ends_at_the_edge_and_overlaps_are_averaged():
    """Windows at columns 0, 6 and, moved back from 12, 8 of a width of 20."""
    seen = []

    class Watched(Ramp):
        def run(self, image):
            seen.append(int(image[0, 0, 0]))
            return super().run(image)

    image = np.zeros((8, 20, 3), np.uint8)
    image[:] = np.arange(20)[None, :, None]
    labels = SlidingWindows(Watched(), (8, 6)).label_map(image, (8, 20))
    assert seen == [0, 0, 6, 8]  # the first one twice: once to warm up
    # Columns 8 and 9: class 2 of the first window, 0 of the second and third.
    assert labels[0].tolist() == [0] * 4 + [1] * 2 + [0] * 4 + [0] * 2 + [1] * 4 + [2] * 4


def test_an_image_smaller_than_the_window_is_filled_up_with_grey():
    seen = []

    class Watched(PerPixel):
        def run(self, image):
            seen.append(image.copy())
            return super().run(image)

    image = np.zeros((4, 30, 3), np.uint8)
    labels = SlidingWindows(Watched((16, 24)), (16, 24)).label_map(image, (4, 30))
    assert labels.shape == (4, 30)
    assert (seen[0][4:] == 128).all()
    assert (seen[0][:4] == 0).all()


def test_time_is_that_of_the_network():
    inference = SlidingWindows(PerPixel((8, 8)), (8, 8), flip=True)
    assert inference.seconds == 0
    inference.label_map(picture((16, 24)), (16, 24))
    assert inference.seconds > 0


def test_protocols_say_what_was_done():
    flipped = AveragedViews([PerPixel((16, 24)), PerPixel((32, 48))], flip=True).protocol
    assert "resized bilinearly to 16x24, 32x48 and each mirrored" in flipped
    windows = SlidingWindows(PerPixel(), (8, 12)).protocol
    assert windows.startswith("windows of 16x24 every 8x12 over whole images")


def test_what_cannot_be_averaged_is_refused():
    class LabelMap(PerPixel):
        def run(self, image):
            return np.zeros(self.input_size, np.uint8)

    with pytest.raises(ConfigError, match="export it with --outputs logits"):
        AveragedViews([LabelMap()], flip=True).label_map(picture((16, 24)), (16, 24))
    with pytest.raises(NonFiniteLogits):
        AveragedViews([Fixed(np.nan, 0.0)], flip=True).label_map(picture((8, 8)), (8, 8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": (0.5, 1.0)}, "one size and cannot run at other scales"),
        ({"scales": ()}, "scales must be positive"),
        ({"scales": (-1.0,)}, "scales must be positive"),
        ({"window": (8, 8)}, "the window of a .tflite is its input size 16x24"),
        ({"stride": (8, 8)}, "a stride needs a window"),
        ({"window": (16, 24), "stride": (17, 8)}, "stride must be 1x1 to the window's 16x24"),
        ({"window": (16, 24), "scales": (0.5,)}, "choose one of --window and"),
        ({"window": (16, 24), "size": (32, 32)}, "choose one of --window and"),
        ({"size": (32, 32)}, "has one size"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        open_inference(PerPixel(), **options)


def test_the_stride_is_half_the_window_by_default():
    inference, _ = open_inference(PerPixel(), window=(16, 24))
    assert inference.stride == (8, 12)


def test_softmax():
    assert softmax(np.log(np.float32([[1, 3, 4]]))) == pytest.approx(
        np.array([[0.125, 0.375, 0.5]])
    )


@pytest.mark.parametrize(
    "ways", [{"flip": True}, {"window": (16, 24), "stride": (8, 8)}, {"fit": "letterbox"}, {}]
)
def test_views_as_a_group_are_the_keywords(ways):
    grouped, _ = open_inference(PerPixel(), views=Views(**ways))
    single, _ = open_inference(PerPixel(), **ways)
    image = picture((32, 30))
    assert grouped.protocol == single.protocol
    labels = [way.label_map(image, (32, 30)) for way in (grouped, single)]
    assert np.array_equal(*labels)


def test_a_keyword_beside_a_group_replaces_its_field():
    way, _ = open_inference(PerPixel(), views=Views(window=(16, 24), flip=True), flip=False)
    assert "mirrored" not in way.protocol
    assert way.protocol.startswith("windows of 16x24 every 8x12")


def test_views_that_contradict_each_other_are_refused_at_once():
    with pytest.raises(ConfigError, match="--fit is for one look"):
        Views(fit="letterbox", flip=True)
    with pytest.raises(ConfigError, match="a stride needs a window"):
        Views(stride=(8, 8))
    with pytest.raises(ConfigError, match="fit must be resize or letterbox"):
        Views(fit="stretch")
