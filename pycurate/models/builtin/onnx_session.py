"""Networks that ONNX Runtime runs on one core each: images are spread over the cores, and do not share a call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycurate.errors import ModelError
from pycurate.files import unchanging

if TYPE_CHECKING:  # here and below, since SCORE needs no more than the names of models' classes
    import onnxruntime


def session(graph: bytes | str) -> onnxruntime.InferenceSession:
    """A network, given as ONNX or as the path of a file of it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def published_session(path: Path, sha256: str, package: str) -> onnxruntime.InferenceSession:
    """The network in the file of a package. Raises ModelError where that is not the one with this hash."""
    try:
        with unchanging(path) as (name, found):
            if found != sha256:
                raise ModelError(f"{path} is not the published file; reinstall {package}.")
            return session(str(name))
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing; reinstall {package}.") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from error


def run_one(network: onnxruntime.InferenceSession, image: np.ndarray) -> np.ndarray:
    """What a network gives for one image, which is as it wants it but for the batch's axis; nor has the result one."""
    result: np.ndarray = network.run(None, {network.get_inputs()[0].name: image[np.newaxis]})[0][0]
    return result
