"""What ``avatar export`` is asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from .parse import time_steps

Format = Literal["ply", "spz", "obj", "glb", "usd", "html", "mp4", "gif"]
SUFFIXES: Final[dict[Format, tuple[str, ...]]] = {
    "ply": (".ply",),
    "spz": (".spz",),
    "obj": (".obj",),
    "glb": (".glb",),
    "usd": (".usdz", ".usdc", ".usda", ".usd"),
    "html": (".html",),
    "mp4": (".mp4",),
    "gif": (".gif",),
}
ONE_POSE: Final = ("ply", "spz", "obj")
"""Formats of one pose a file."""


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Write an avatar for other programs.

    In one pose, Gaussians that splat viewers open (.ply, .spz), or the mesh of body, clothes and hair with its colours
    (.obj); a folder takes one of them for every time step. Moving, a textured mesh on a skeleton for Blender, Unity,
    Unreal and three.js (.glb) or for USD (.usdz, .usda and others), a page that shows it in any browser, offline
    too (.html), or a film (.mp4, .gif).

    Examples: avatar export --run runs/dancer --out dancer.glb
    and avatar export --run runs/dancer --out dance --format spz --frames 0:10

    Attributes:
        run: folder of the fit.
        out: the file, or a folder for many poses.
        format: by default what the name of the file ends in.
        splats: Gaussians in one pose instead of the mesh that moves, in .glb and .usdz.
        frames: time steps of the motion, from:to without the last, or a single one; by default the body at rest where
            one pose is written, else all.
        motion: file whose motion to take, such as a .bvh.
        poses: folder of a capture whose poses to take; by default those the avatar was fitted to.
        cell_m: edge of the cells in which the surface of a radiance field is found, metres; 0.003 or more.
        longest_edge_m: split edges of an .obj that are longer, metres, as in loose cloth; 0.001 or more.
        size: height of a film in pixels.
        fps: pictures a second of a film, with poses between the captured ones made up; by default captured ones alone.
            Also time steps a second of a --motion that does not say.
        background: of a film: black, white, or red,green,blue from 0 to 1.
    """

    run: Path
    out: Path
    format: Format | None = None
    splats: bool = False
    frames: str | None = None
    motion: Path | None = None
    poses: Path | None = None
    cell_m: float = 0.006
    longest_edge_m: float | None = None
    size: int = 640
    fps: float | None = None
    background: str = "black"

    @property
    def kind(self) -> Format:
        """The format. ValueError where the name of the file says none, or another."""
        by_name: Format | None = next((of for of, suffixes in SUFFIXES.items() if self.out.suffix in suffixes), None)
        kind = self.format or by_name
        if kind is None:
            raise ValueError(f"{self.out}: expected --format, or a name that ends in .{', .'.join(SUFFIXES)}")
        if self.out.suffix and kind != by_name:
            raise ValueError(f"{self.out}: expected a name that ends in {SUFFIXES[kind][0]}, or another --format")
        if not self.out.suffix and not (kind in ONE_POSE and self.has_motion):
            raise ValueError(f"{self.out}: expected a name that ends in {SUFFIXES[kind][0]}")
        return kind

    @property
    def has_motion(self) -> bool:
        """Whether more than one pose is asked for."""
        if self.frames is None:
            return not self.is_at_rest
        start, stop = time_steps(self.frames)
        return stop != start + 1

    @property
    def is_at_rest(self) -> bool:
        """Whether no pose is asked for."""
        return self.frames is None and self.motion is None and self.poses is None

    def check(self) -> None:
        """ValueError where options do not fit each other."""
        kind = self.kind
        is_one = kind in ONE_POSE or self.splats
        if is_one and self.has_motion and self.out.suffix:
            raise ValueError(f"{self.out}: holds one pose; expected --frames with a single time step, or a folder")
        if self.motion and self.poses:
            raise ValueError("--motion: takes the place of --poses, expected one of them")
        if self.splats and kind not in ("glb", "usd"):
            raise ValueError("--splats: expected --format glb or usd")
        if self.longest_edge_m is not None and not (self.longest_edge_m >= 1e-3 and kind == "obj"):
            raise ValueError("--longest-edge-m: expected 0.001 or more, with --format obj")
        if not self.cell_m >= 3e-3:
            raise ValueError(f"--cell-m: expected 0.003 or more, got {self.cell_m}")
        if self.size < 16:
            raise ValueError(f"--size: expected 16 or more, got {self.size}")
        if self.fps is not None and not (self.fps > 0 and (self.motion or kind in ("mp4", "gif"))):
            raise ValueError("--fps: expected more than 0, with --format mp4 or gif, or with --motion")
