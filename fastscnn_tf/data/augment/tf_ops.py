"""The operations that augmentation is written in, in TensorFlow: `numpy_ops` inside tf.data.

What each does stands in `numpy_ops`; where a form looks roundabout it is the fastest measured on a
CPU (a product with a (3,) vector costs four times one with whole rows).
"""

import functools
from collections.abc import Callable
from typing import Any

from ...core.keras_api import Tensor, tensorflow
from ...core.sizes import Size

tf = tensorflow()

floor, round_, cos, sin = tf.floor, tf.round, tf.cos, tf.sin
minimum, maximum, where, argsort = tf.minimum, tf.maximum, tf.where, tf.argsort
power, exp, matmul, stack = tf.pow, tf.exp, tf.linalg.matmul, tf.stack
take, peak, total = tf.gather, tf.reduce_max, tf.reduce_sum
diagonal = tf.linalg.diag_part
when, resize_bilinear = tf.cond, tf.image.resize


def floats(x: Tensor) -> Tensor:
    return tf.cast(x, tf.float32)


def integers(x: Tensor) -> Tensor:
    return tf.cast(x, tf.int32)


def bytes_(x: Tensor) -> Tensor:
    return tf.cast(x, tf.uint8)


def concat(parts: list[Any]) -> Tensor:
    return tf.concat(parts, -1)


def extent(x: Tensor) -> Tensor:
    return tf.cast(tf.shape(x)[:2], tf.float32)


def mean_color(image: Tensor) -> Tensor:
    return tf.reduce_mean(image, (0, 1))


def reverse_columns(x: Tensor) -> Tensor:
    return tf.reverse(x, [1])


def first(count: int, make: Callable[[Any], Any], accept: Callable[[Any], Any]) -> Tensor:
    def again(i, candidate):
        return tf.logical_and(i < count, tf.logical_not(accept(candidate)))

    return tf.while_loop(again, lambda i, _: (i + 1, make(i)), (1, make(0)))[1]


def class_counts(label: Tensor) -> Tensor:
    return tf.math.bincount(tf.cast(tf.reshape(label, [-1]), tf.int32), minlength=256)


def pixels_of(label: Tensor, value: object) -> Tensor:
    return tf.cast(tf.where(label == tf.cast(value, label.dtype)), tf.int32)


def nonzero(x: Tensor) -> Tensor:
    return tf.cast(tf.where(x)[:, 0], tf.int32)


def one_of(values: Tensor, draw: Tensor) -> Tensor:
    count = tf.shape(values)[0]
    return values[tf.minimum(tf.cast(draw * tf.cast(count, tf.float32), tf.int32), count - 1)]


def pair_of(x: Tensor) -> Tensor:
    return x[0], x[1]


def crop(x: Tensor, start: Tensor, size: Tensor) -> Tensor:
    stop = start + size
    return x[start[0] : stop[0], start[1] : stop[1]]


def pad(x: Tensor, before: Tensor, size: Size, value: object) -> Tensor:
    missing = tf.constant(size) - tf.shape(x)[:2]
    pads = tf.stack([before, missing - before], 1)
    pads = pads if x.shape.rank == 2 else tf.concat([pads, [[0, 0]]], 0)
    framed = functools.partial(tf.pad, x, pads, constant_values=value)
    return tf.cond(tf.reduce_any(missing > 0), framed, lambda: x)  # it would copy all the same


def resize_nearest(label: Tensor, size: Tensor) -> Tensor:
    # Rows are copied whole: a third of the time of `tf.image.resize`, which gives the same.
    for target in (size[0], size[1]):
        cells = tf.shape(label)[0]
        scale = tf.cast(cells, tf.float32) / tf.cast(target, tf.float32)
        position = (tf.cast(tf.range(target), tf.float32) + 0.5) * scale
        row = tf.minimum(tf.cast(position, tf.int32), cells - 1)
        label = tf.transpose(tf.gather(label, row))
    return label


def warp_image(image: Tensor, transform: Tensor, size: Size, color: Tensor) -> Tensor:
    shade = color[0] if len(set(color)) == 1 else None
    image = tf.cast(image, tf.float32)
    if shade is None:
        return _warp(image - color, transform, size, 0.0, "BILINEAR") + color
    return _warp(image, transform, size, shade, "BILINEAR")


def warp_label(label: Tensor, transform: Tensor, size: Size, value: int) -> Tensor:
    return _warp(label[..., None], transform, size, float(value), "NEAREST")[..., 0]


def _warp(image: Tensor, transform: Tensor, size: Size, fill: float, how: str) -> Tensor:
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.concat([transform, [0.0, 0.0]], 0)[None],
        output_shape=tf.constant(size),
        fill_value=fill,
        interpolation=how,
        fill_mode="CONSTANT",
    )[0]


def color_transform(
    image: Tensor, matrix: Tensor, offset: Tensor, low: Tensor, high: Tensor
) -> Tensor:
    shape = tf.shape(image)
    if matrix.shape.rank == 1:
        rows = tf.reshape(image, [shape[0], -1]) * tf.tile(matrix, shape[1:2])
    else:
        rows = tf.reshape(tf.matmul(tf.reshape(image, [-1, 3]), matrix), [shape[0], -1])
    rows += tf.tile(offset, shape[1:2])
    if len({*low}) == len({*high}) == 1:  # one pass instead of two
        return tf.reshape(tf.clip_by_value(rows, low[0], high[0]), shape)
    rows = tf.minimum(tf.maximum(rows, tf.tile(low, shape[1:2])), tf.tile(high, shape[1:2]))
    return tf.reshape(rows, shape)


def scaled(image: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
    shape = tf.shape(image)
    rows = tf.reshape(image, [shape[0], -1])
    rows = rows * tf.tile(factor, shape[1:2]) + tf.tile(offset, shape[1:2])
    return tf.reshape(rows, shape)


def clip(image: Tensor) -> Tensor:
    return tf.clip_by_value(image, 0.0, 255.0)


def blur(image: Tensor, taps: Tensor) -> Tensor:
    radius = taps.shape[0] // 2
    fits = tf.reduce_min(tf.shape(image)[:2]) > radius
    pads = [[radius, radius], [radius, radius], [0, 0]]
    wide = tf.cond(
        fits, lambda: tf.pad(image, pads, "REFLECT"), lambda: _edge_padded(image, radius)
    )
    down = tf.tile(taps[:, None, None, None], [1, 1, 3, 1])
    across = tf.transpose(down, [1, 0, 2, 3])
    for kernel in (down, across):
        wide = tf.nn.depthwise_conv2d(wide[None], kernel, [1, 1, 1, 1], "VALID")[0]
    return wide


def _edge_padded(image: Tensor, radius: int) -> Tensor:
    for axis in (0, 1):
        count = tf.shape(image)[axis]
        index = tf.clip_by_value(tf.range(-radius, count + radius), 0, count - 1)
        image = tf.gather(image, index, axis=axis)
    return image


def normal_like(image: Tensor, seed: Tensor) -> Tensor:
    key = tf.cast(seed * (1 << 24), tf.int32)
    return tf.random.stateless_normal(tf.shape(image), tf.stack([key, 0]))


def jpeg(image: Tensor, quality: Tensor) -> Tensor:
    pixels = tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)
    content = tf.raw_ops.EncodeJpegVariableQuality(
        images=pixels, quality=tf.cast(quality, tf.int32)
    )
    decoded = tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")
    return tf.cast(decoded, tf.float32)


def box_mask(size: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    rows, columns = tf.range(size[0])[:, None], tf.range(size[1])[None]
    inside = (rows >= start[0]) & (rows < stop[0])
    return inside & (columns >= start[1]) & (columns < stop[1])


def replaced(batch: Tensor, index: Tensor, rows: Tensor) -> Tensor:
    return tf.tensor_scatter_nd_update(batch, index[:, None], rows)


def lookup(table: Tensor, label: Tensor) -> Tensor:
    return tf.gather(table, tf.cast(label, tf.int32), batch_dims=1)
