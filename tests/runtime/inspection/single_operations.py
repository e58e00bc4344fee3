"""Files of one operation each, of three types: what rules are measured on."""

import numpy as np
from tiny_models import TinyModel, binary, chain, convolution, depthwise, unary

OTHER = ((0.1,), (0,))  # another scale than the usual one


def axes(*values):
    return [(list(values), "int32")]


def slices(dtype, step=1, **masks):
    constants = [([0] * 4, "int32"), ([1, 4 * step, 4 * step, 4], "int32")]
    constants.append(([1, step, step, 1], "int32"))
    shape = (4, 4, 4) if masks.get("shrinkAxisMask") else (1, 4, 4, 4)
    return unary("STRIDED_SLICE", dtype, shape, "StridedSliceOptions", 2, constants, **masks)


def pool(kind, dtype, window=2, **values):
    sizes = {"filterHeight": window, "filterWidth": window, "strideH": 2, "strideW": 2}
    return unary(kind, dtype, (1, 4, 4, 4), "Pool2DOptions", 2, **sizes, **values)


def resize(dtype, **values):
    size = [([16, 16], "int32")]
    return unary(
        "RESIZE_BILINEAR", dtype, (1, 16, 16, 4), "ResizeBilinearOptions", 3, size, **values
    )


def pad(dtype, **values):
    edges = [([[0, 0], [1, 1], [1, 1], [0, 0]], "int32")]
    return unary("PAD", dtype, (1, 10, 10, 4), "PadOptions", 2, edges, **values)


def concat(dtype, count, **values):
    shape = (1, 8, 8, 4 * count)
    version = 1 if dtype == "float32" else 2
    return binary(
        "CONCATENATION", dtype, count, shape, "ConcatenationOptions", version, axis=3, **values
    )


def mean(dtype, *values, output=(1, 1, 1, 4)):
    return unary("MEAN", dtype, output, "ReducerOptions", 2, axes(*values), keepDims=True)


def add(dtype, kind="ADD", **values):
    version = 1 if dtype == "float32" else 2
    return binary(kind, dtype, 2, (1, 8, 8, 4), f"{kind.capitalize()}Options", version, **values)


def quantize(source, target, scale=0.07):
    scales = (None if source == "float32" else ((0.05,), (0,)), ((scale,), (0,)))
    return unary("QUANTIZE", source, (1, 8, 8, 4), "QuantizeOptions", 2, (), target, scales)


def half_weights():
    m = TinyModel()
    x, y, w = m.tensor((1, 8, 8, 4)), m.tensor((1, 8, 8, 8)), m.tensor((8, 3, 3, 4))
    h = m.tensor((8, 3, 3, 4), "float16", np.ones((8, 3, 3, 4)))
    b = m.tensor((8,), "float32", np.zeros(8))
    m.op("DEQUANTIZE", [h], [w], "DequantizeOptions", 3)
    m.op("CONV_2D", [x, w, b], [y], "Conv2DOptions", strideH=1, strideW=1)
    for op in m.graph.operators[1:]:
        op.builtinOptions.dilationHFactor = op.builtinOptions.dilationWFactor = 1
    return m.pack([x], [y])


def each(dtype):
    """name -> file, of one type."""
    floats = dtype == "float32"
    files = {
        "conv": convolution(dtype),
        "conv relu6": convolution(dtype, activation=3),
        "conv tanh": convolution(dtype, activation=4) if floats else None,
        "depthwise": depthwise(dtype),
        "depthwise dilated": depthwise(dtype, dilation=2),
        **{f"concat {count}": concat(dtype, count) for count in range(1, 8)},
        "add": add(dtype),
        "add tanh": add(dtype, fusedActivationFunction=4),
        "sub": add(dtype, "SUB"),
        "mul": add(dtype, "MUL"),
        "mean 1 2": mean(dtype, 1, 2),
        "mean 1": mean(dtype, 1, output=(1, 1, 8, 4)),
        "mean all": mean(dtype, 0, 1, 2, 3, output=(1, 1, 1, 1)),
        "average pool": pool("AVERAGE_POOL_2D", dtype),
        "average pool of 1": pool("AVERAGE_POOL_2D", dtype, 1),
        "max pool": pool("MAX_POOL_2D", dtype),
        "resize": resize(dtype),
        "resize aligned": resize(dtype, alignCorners=True),
        "resize half pixel": resize(dtype, halfPixelCenters=True),
        "pad": pad(dtype),
        "slice": slices(dtype),
        "slice with steps": slices(dtype, 2),
        "slice that shrinks": slices(dtype, shrinkAxisMask=1),
        "space to depth": unary(
            "SPACE_TO_DEPTH", dtype, (1, 4, 4, 16), "SpaceToDepthOptions", 2, blockSize=2
        ),
        "reshape": unary(
            "RESHAPE", dtype, (1, 64, 4), "ReshapeOptions", 1, [([1, 64, 4], "int32")]
        ),
        "transpose": unary(
            "TRANSPOSE", dtype, (1, 4, 8, 8), "TransposeOptions", 2, [([0, 3, 1, 2], "int32")]
        ),
        "nearest": unary(
            *("RESIZE_NEAREST_NEIGHBOR", dtype, (1, 16, 16, 4), "ResizeNearestNeighborOptions"),
            *(3, [([16, 16], "int32")]),
        ),
        "arg max": unary(
            *("ARG_MAX", dtype, (1, 8, 8), "ArgMaxOptions", 2, [(3, "int32")], "int32"),
            outputType=2,
        ),
        "relu": unary("RELU", dtype, version=1 if floats else 2),
        "softmax": unary(
            *("SOFTMAX", dtype, (1, 8, 8, 4), "SoftmaxOptions", 2, (), None),
            scales=(None, None if floats else ((1 / 256,), (-128 if dtype == "int8" else 0,))),
            beta=1.0,
        ),
        "quantize": quantize(dtype, "int8"),
        "quantize to uint8": quantize(dtype, "uint8"),
        "cast": unary("CAST", dtype, options="CastOptions", output_type="int32"),
        "convolutions around relu": chain(dtype) if dtype != "uint8" else None,
    }
    if floats:
        files |= {
            "filter of int8": convolution(filter_type="int8"),
            "weights of float16": half_weights(),
            "softmax of 2x": unary("SOFTMAX", options="SoftmaxOptions", version=2, beta=2.0),
            "gather nd": unary(
                *("GATHER_ND", dtype, (1, 4), "GatherNdOptions", 1, [([[0, 1, 2]], "int32")])
            ),
            "arg max of int64": unary(
                *("ARG_MAX", dtype, (1, 8, 8), "ArgMaxOptions", 2, [(3, "int32")], "int64"),
                outputType=4,
            ),
            "resize aligned half pixel": resize(dtype, alignCorners=True, halfPixelCenters=True),
            "hard swish": unary("HARD_SWISH", options="HardSwishOptions"),
        }
    else:
        usual = (None, OTHER)
        files |= {
            "dequantize": unary(
                *("DEQUANTIZE", dtype, (1, 8, 8, 4), "DequantizeOptions", 2, (), "float32"),
            ),
            "add of a large scale": add(dtype, scales=[((20.0,), (0,))]),
            "concat of two scales": concat(dtype, 2, scales=[OTHER]),
            "pad to another scale": pad(dtype, scales=usual),
            "resize to another scale": resize(dtype, scales=usual),
            "quantize by a large step": quantize(dtype, dtype, 0.0001),
        }
    return {name: content for name, content in files.items() if content}


CASES = {
    f"{dtype} {name}": c
    for dtype in ("float32", "int8", "uint8")
    for name, c in each(dtype).items()
}
