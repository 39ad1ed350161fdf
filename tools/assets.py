"""``avatar assets``: files that avatar may not ship, fetched once on request."""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from avatar.assets import LPIPS_PICKLES, POSE_FILES, fetch_lpips, fetch_pose, lpips_path, pose_path

from .console import say


@dataclass(frozen=True, kw_only=True)
class AssetsCommand:
    """Fetch or list files that avatar may not ship.

    Example: avatar assets fetch lpips

    Attributes:
        action: fetch them from the package index, or list what there is and where.
        name: what to fetch: lpips, the weights of LPIPS (66 MB) for avatar evaluate; pose, the models of BlazePose (40
            MB) that find a person in videos.
    """

    action: Positional[Literal["fetch", "list"]]
    name: Positional[Literal["lpips", "pose"] | None] = None


def run(config: AssetsCommand) -> None:
    """Fetch into the user's cache, or list."""
    match config.action, config.name:
        case "list", _:
            files = [("lpips", net, lpips_path(net)) for net in LPIPS_PICKLES]
            files += [("pose", model, pose_path(model)) for model in POSE_FILES]
            for name, part, path in files:
                say(f"{name} {part}: {path if path.is_file() else f'not fetched (avatar assets fetch {name})'}")
        case "fetch", "lpips" | "pose":
            try:
                (fetch_lpips if config.name == "lpips" else fetch_pose)(progress=say)
            except RuntimeError as error:
                raise ConnectionError(str(error)) from error
        case _:
            raise ValueError("assets fetch: expected a name, got none; try `avatar assets fetch lpips`")
