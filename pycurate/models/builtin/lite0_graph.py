"""EfficientNet-Lite0 as an ONNX graph, made in memory from its tensors.

So there is no file between the published weights and the network that runs: nothing to keep in a folder that others
may write to, and nothing to trust but the weights' hash. It is made in a fraction of the seconds that torch's exporter
takes, and gives the same bits as the graph that this makes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

# (repeats, stride, expansion) of each stage of blocks, see Tan and Le (arXiv:1905.11946), table 1. Kernels and channels
# are those of the tensors.
STAGES = ((1, 1, 1), (2, 2, 6), (2, 2, 6), (3, 2, 6), (3, 1, 6), (4, 2, 6), (1, 1, 6))
EPSILON = np.float32(1e-3)  # of the batch normalisations
SIZE = 224  # pixels


def make_graph(tensors: Sequence[np.ndarray], side: int = SIZE, *, stages: int | None = None) -> bytes:
    """The graph: uint8 (1, 3, side, side) `pixels`, RGB -> float32 (1, 1280), pooled features.

    With `stages`, only that many stages of blocks and the expansion in the next block, before its depthwise
    convolution: float32 (1, channels, height, width), from 0 to 6. With 5 that is the last map of a sixteenth of the
    side, (1, 672, side / 16, side / 16), from where SSDLite takes its finer features (Sandler et al., arXiv:1801.04381,
    section 6.2). `tensors` are those of the layers in their order: a convolution's kernel, then scale, shift, mean,
    variance and a counter of its batch normalisation, which are folded into the convolution.
    """
    graph = _Graph(tensors, side)
    at = graph.add("Cast", "pixels", to=TensorProto.FLOAT)
    at = graph.add("Sub", at, graph.constant(np.float32(127)))
    at = graph.add("Div", at, graph.constant(np.float32(128)))
    at = graph.bounded(graph.convolution(at, stride=2))
    for stage, (repeats, stride, expansion) in enumerate(STAGES):
        for repeat in range(repeats):
            start = at
            if expansion > 1:
                at = graph.bounded(graph.convolution(at))
            if stage == stages:
                return graph.model(at).SerializeToString()
            at = graph.bounded(graph.convolution(at, stride if repeat == 0 else 1, depthwise=True))
            at = graph.convolution(at)
            if repeat:
                at = graph.add("Add", at, start)
    at = graph.bounded(graph.convolution(at))
    at = graph.add("ReduceMean", at, graph.constant(np.array([-1, -2])), keepdims=1)
    at = graph.add("Reshape", at, graph.constant(np.array([1, -1])))
    return graph.model(at).SerializeToString()


class _Graph:
    """Nodes and constants; each method adds one node behind another and gives the name of what it puts out."""

    def __init__(self, tensors: Sequence[np.ndarray], side: int) -> None:
        self._tensors = iter(tensors)
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self._side = self._size = side
        self._bounds = [self.constant(np.float32(0)), self.constant(np.float32(6))]

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"node{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: np.ndarray | np.generic) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def bounded(self, at: str) -> str:
        """ReLU6, which Lite0 has in place of Swish."""
        return self.add("Clip", at, *self._bounds)

    def convolution(self, at: str, stride: int = 1, depthwise: bool = False) -> str:
        """The next convolution with its batch normalisation, padded as TensorFlow does it: an odd pixel at the end."""
        kernel, scale, shift, mean, variance, _counter = (next(self._tensors) for _ in range(6))
        factor = scale / np.sqrt(variance + EPSILON)
        side = kernel.shape[2]
        padding = max((-(-self._size // stride) - 1) * stride + side - self._size, 0)
        self._size = -(-self._size // stride)
        return self.add(
            "Conv",
            at,
            self.constant(kernel * factor[:, None, None, None]),
            self.constant(shift - mean * factor),
            group=len(kernel) if depthwise else 1,
            kernel_shape=[side, side],
            pads=[padding // 2, padding // 2, padding - padding // 2, padding - padding // 2],
            strides=[stride, stride],
            dilations=[1, 1],
        )

    def model(self, output: str) -> ModelProto:
        """The whole of it, up to the node of this name."""
        pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 3, self._side, self._side])
        features = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self._nodes, "lite0", [pixels], [features], self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
