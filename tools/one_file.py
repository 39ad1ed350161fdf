"""The viewer with an avatar in it, as one file."""

from avatar.atomic import replacing
from avatar.model import HybridAvatar
from avatar.runs import fitted_motion
from avatar.structs import Motion

from ..viewer.motions import FITTED_NAME, NamedMotion
from ..viewer.one_file import one_file_page
from ..viewer.runs import RunFolder
from .console import say
from .export_command import ExportCommand


def write_one_file(config: ExportCommand, avatar: HybridAvatar, motion: Motion) -> None:
    """The motion that was asked for, and after one from elsewhere the poses that the avatar was fitted to."""
    run = RunFolder(name=config.run.resolve().name, path=config.run.resolve())
    source = config.motion or config.poses
    motions = [NamedMotion(name=source.resolve().name if source else FITTED_NAME, motion=motion)]
    if source:
        motions.append(NamedMotion(name=FITTED_NAME, motion=fitted_motion(avatar, config.run)))
    page = one_file_page(avatar, run.name, motions, run.metrics())
    with replacing(config.out) as temporary:
        temporary.write_text(page, "utf-8")
    say(f"Wrote {config.out}: {len(page) / 1e6:.1f} MB; open it in a browser, it needs nothing else")
