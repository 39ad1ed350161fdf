"""A baked file's arrays as tensors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from .rig import Rig


@dataclass(frozen=True, kw_only=True, eq=False)
class DataFile:
    """What ``tools/bake_body.py`` wrote to one file.

    Attributes:
        arrays: by name.
        dtype, device: of the tensors that are made of them.
    """

    arrays: dict[str, np.ndarray]
    dtype: torch.dtype
    device: torch.device | str

    @classmethod
    def read(cls, path: Path, dtype: torch.dtype, device: torch.device | str) -> "DataFile":
        """The file at ``path``. Raises FileNotFoundError when it is missing."""
        if not path.is_file():
            raise FileNotFoundError(f"{path}: the body model is missing; reinstall avatar or run tools/bake_body.py")
        with np.load(path) as file:
            return cls(arrays={name: file[name] for name in file.files}, dtype=dtype, device=device)

    def names(self, key: str) -> tuple[str, ...]:
        """A list of names."""
        return tuple(self.arrays[key].tolist())

    def ids(self, key: str) -> Int[Tensor, "..."]:
        """Whole numbers, as indices."""
        return torch.from_numpy(self.arrays[key].astype(np.int64)).to(self.device)

    def real(self, key: str) -> Float[Tensor, "..."]:
        """Numbers in the chosen precision."""
        return torch.from_numpy(self.arrays[key]).to(self.device, self.dtype)

    def rig(self, faces: Int[Tensor, "t 3"], uv: Float[Tensor, "u 2"], uv_faces: Int[Tensor, "t 3"]) -> Rig:
        """The file's skeleton and skin weights, on the given surface."""
        weights = torch.from_numpy(self.arrays["bone_weights"].astype(np.int32))
        return Rig(
            joint_names=self.names("joint_names"),
            parents=tuple(self.arrays["parents"].tolist()),
            bone_ids=self.ids("bone_ids"),
            bone_weights=weights.to(self.device, self.dtype) / 65535,
            faces=faces,
            uv=uv,
            uv_faces=uv_faces,
        )
