"""A capture in the layout of ZJU-MoCap makes the very avatar that it makes in ours."""

from pathlib import Path

import numpy as np

from avatar.capture import PictureConfig, PictureLoader
from avatar.captures import open_capture, write_zju_capture
from avatar.structs import Capture, Split
from avatar.train import HybridFit, HybridFitConfig, Limits

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "samples" / "dancer"


def fitted(capture: Capture, corner: Split, recipe: HybridFitConfig, run: Path) -> dict[str, bytes]:
    """What a short fit leaves behind, but for the time that it took."""
    fit = HybridFit(capture, corner, run, recipe, Limits(steps=30))
    assert len(list(fit)) > 1
    files = (path for path in run.glob("checkpoint-*/*") if path.name != "training.json")
    return {path.name: path.read_bytes() for path in files}


def test_the_fit_is_the_same_to_the_bit(
    sample: Capture, corner: Split, recipe: HybridFitConfig, tmp_path: Path
) -> None:
    whole = open_capture(SAMPLE, pictures=PictureConfig(keep_background=True))
    assert isinstance(whole.load_frame, PictureLoader)
    write_zju_capture(whole, tmp_path / "zju", pairs=corner.pairs(), file_of=whole.load_frame.file_of)
    table = np.load(tmp_path / "zju" / "annots.npy", allow_pickle=True).item()
    assert table["ims"][7]["ims"][3] == "Camera_B4/000007.jpg"
    native = fitted(sample, corner, recipe, tmp_path / "native")
    assert {"avatar.safetensors", "training.safetensors"} <= native.keys()
    assert fitted(open_capture(tmp_path / "zju"), corner, recipe, tmp_path / "run") == native
