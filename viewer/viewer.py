"""What the server answers with, apart from HTTP: runs, avatars, motions, captures."""

import logging
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save

from avatar.export import web_motion
from avatar.model import HybridAvatar
from avatar.structs import Capture

from .avatars import Avatars, Loaded
from .captures import Captures, capture_info, coverage, picture
from .contract import CaptureInfo, MotionInfo
from .motions import FITTED, NamedMotion, motion_from_upload, motion_infos, motions_of
from .newest import Newest
from .one_file import one_file_page
from .runs import RunFolder, RunFolders

logger = logging.getLogger(__name__)

MOST_COVERAGES, MOST_PAGES = 4, 1


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """What is shown.

    Attributes:
        run: one run folder.
        runs: a folder of run folders.
        capture: where the pictures are that the runs were fitted to; by default each run remembers.
    """

    run: Path | None = None
    runs: Path | None = None
    capture: Path | None = None

    def __post_init__(self) -> None:
        if self.run is None and self.runs is None:
            raise ValueError("expected --run, the folder of a fit, or --runs, a folder of such folders; got neither")
        if self.capture is not None and not self.capture.is_dir():
            raise FileNotFoundError(f"{self.capture}: no such folder; give the folder of a capture")


class Viewer:
    """Answers by name of the run. All raise FileNotFoundError for what is not there and ValueError for what is broken.

    Safe to share among threads.
    """

    def __init__(self, config: ViewConfig) -> None:
        self.folders = RunFolders(config.run, config.runs)
        self._avatars, self._captures = Avatars(), Captures(config.capture)
        self._coverages: Newest[bytes] = Newest(MOST_COVERAGES)
        self._pages: Newest[bytes] = Newest(MOST_PAGES)

    def avatar(self, name: str) -> Loaded:
        """The avatar of the newest checkpoint, and its scene."""
        return self._avatars.of(self.folders.find(name))

    def motions(self, name: str) -> list[MotionInfo]:
        """The captured motions."""
        return motion_infos(self._motions(name))

    def motion(self, name: str, key: str) -> bytes:
        """A captured motion as the page takes it."""
        motions = self._motions(name)
        if key not in motions:
            raise FileNotFoundError("no such motion; see the list of motions")
        return web_motion(self.avatar(name).avatar, motions[key].motion, motions[key].name)

    def retarget(self, name: str, file_name: str, content: bytes) -> bytes:
        """The motion in a file, made the avatar's; its notes say what became of the joints."""
        avatar = self.avatar(name).avatar
        moved = motion_from_upload(avatar, file_name, content)
        return web_motion(avatar, moved.motion, moved.name, list(moved.notes))

    def capture(self, name: str) -> CaptureInfo:
        """What the capture of a run says about itself."""
        return capture_info(self._capture(name))

    def picture(self, name: str, camera: str, frame: str) -> bytes:
        """A picture of the capture as PNG, its alpha the mask."""
        return picture(self._capture(name), camera, frame)

    def coverage(self, name: str) -> bytes:
        """One tensor ``coverage``: of each vertex of the surface the share of training pictures that show it."""
        run, loaded = self.folders.find(name), self.avatar(name)
        capture = self._captures.of(run, loaded.avatar)
        return self._coverages.get(
            (run.path, loaded.version), lambda: save({"coverage": coverage(run, loaded.avatar, capture)})
        )

    def page(self, name: str) -> bytes:
        """The one-file page of a run with the poses that it was fitted to."""
        run, loaded = self.folders.find(name), self.avatar(name)
        motions, metrics = [motions_of(run, loaded.avatar, None)[FITTED]], run.metrics()
        return self._pages.get(
            (run.path, loaded.version, str(metrics)),
            lambda: one_file_page(loaded.avatar, run.name, motions, metrics).encode(),
        )

    def _capture(self, name: str) -> Capture:
        return self._captures.of(self.folders.find(name), self.avatar(name).avatar)

    def _motions(self, name: str) -> dict[str, NamedMotion]:
        run, avatar = self.folders.find(name), self.avatar(name).avatar
        return motions_of(run, avatar, self._known_capture(run, avatar))

    def _known_capture(self, run: RunFolder, avatar: HybridAvatar) -> Capture | None:
        """The capture, or None where it cannot be read: the poses that the avatar was fitted to are there anyway."""
        try:
            return self._captures.of(run, avatar)
        except (OSError, ValueError) as error:
            logger.info("%s", error)
            return None
