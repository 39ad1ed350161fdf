"""The subjects of ZJU-MoCap as published, and which of their time steps protocol D of NeuralBody trains on.

Sources: the release's README and configurations; frame ranges are half-open and count time steps, not file numbers.
"""

import re
from dataclasses import dataclass

Range = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What was published of one person.

    Attributes:
        frames, cameras: how many there are.
        train, unseen: protocol D's time steps to train on, and its poses not seen in training.
    """

    frames: int
    cameras: int
    train: Range
    unseen: Range


SUBJECTS = {
    313: Subject(frames=1470, cameras=21, train=(0, 60), unseen=(60, 1060)),
    315: Subject(frames=2185, cameras=21, train=(0, 400), unseen=(400, 1400)),
    377: Subject(frames=617, cameras=23, train=(0, 300), unseen=(300, 617)),
    386: Subject(frames=646, cameras=23, train=(0, 300), unseen=(300, 646)),
    387: Subject(frames=654, cameras=23, train=(0, 300), unseen=(300, 654)),
    390: Subject(frames=1171, cameras=23, train=(700, 1000), unseen=(0, 700)),
    392: Subject(frames=556, cameras=23, train=(0, 300), unseen=(300, 556)),
    393: Subject(frames=658, cameras=23, train=(0, 300), unseen=(300, 658)),
    394: Subject(frames=859, cameras=23, train=(0, 300), unseen=(300, 859)),
}
"""By number."""


def subject_of(folder: str) -> Subject | None:
    """The subject that a folder (``CoreView_377``, ``my_377``) is called after; None for another name."""
    match = re.fullmatch(r"(?:CoreView|my)_(\d{3})", folder)
    return SUBJECTS.get(int(match[1])) if match else None
