"""Networks in TensorFlow Lite's format, run by LiteRT: the only file that asks for the extra ``pose``."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
from jaxtyping import Float


def extra(name: Literal["ai_edge_litert"]) -> ModuleType:
    """The interpreter's module of the optional package; ImportError with the pip line where it is missing."""
    try:
        return import_module(f"{name}.interpreter")
    except ImportError as error:
        raise ImportError(f"{name}: cannot be imported ({error}): run `pip install 'avatar[pose]'`") from error


class Network:
    """A network of one input and several outputs. Owns the interpreter, whose calls must not overlap."""

    def __init__(self, path: Path, *, num_threads: int = 1) -> None:
        """Raises FileNotFoundError without the file, ImportError without the extra, ValueError for no such network."""
        if not path.is_file():
            raise FileNotFoundError(f"{path}: not fetched; run `avatar assets fetch pose`")
        module = extra("ai_edge_litert")
        try:
            self._interpreter = module.Interpreter(model_path=str(path), num_threads=num_threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = (str(error).splitlines() or ["unknown"])[0]
            raise ValueError(f"{path}: not a network that LiteRT can run ({reason}); fetch it again") from error
        (self._input,) = (detail["index"] for detail in self._interpreter.get_input_details())
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]

    def __call__(self, values: Float[np.ndarray, "h w d"]) -> dict[tuple[int, ...], Float[np.ndarray, "..."]]:
        """The outputs by shape, which tells those of these models apart; without the axis of the batch."""
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(values, np.float32)[None])
        self._interpreter.invoke()
        outputs = [self._interpreter.get_tensor(index)[0] for index in self._outputs]
        return {output.shape: output for output in outputs}
