"""Protocols A to E on ZJU-MoCap, as the code and configurations of their authors have them.

Cameras and time steps are indices from zero. ``my_377`` is the refined set of InstantNVR, ``CoreView_377`` the release:
their cameras and bodies differ, so a protocol knows one of them only.
"""

from collections.abc import Collection, Mapping, Sequence

from avatar.capture import SUBJECTS
from avatar.structs import Split

from .protocol import LpipsOf, Measure, PictureRule, Protocol, Psnr, Ssim

SIX = (377, 386, 387, 392, 393, 394)
CAPS = {377: 570, 386: 540, 387: 540, 392: 556, 393: 658, 394: 475}  # of time steps in protocols B and C
SPARSE, EIGHT = (0, 6, 12, 18), tuple(range(0, 22, 3))
NUM_CAMERAS = 23

LEGACY, GAUSSIAN = Ssim(window="uniform_7", data_range=2.0), Ssim(window="gaussian_11", data_range=1.0)
VGG_AS_IS, VGG = LpipsOf(net="vgg", is_rescaled=False), LpipsOf(net="vgg", is_rescaled=True)
HALF = "Renderings use exact cameras; published readers halve K without the half pixel, 0.25 px at this size."
ROUNDED = "Pictures are undistorted in 8 bits, the authors' partly in floats: half a level."


def others(train: Collection[int], num_cameras: int = NUM_CAMERAS) -> tuple[int, ...]:
    """All cameras but those."""
    return tuple(camera for camera in range(num_cameras) if camera not in train)


def parts(**named: tuple[Sequence[int], Sequence[int]]) -> Mapping[str, Split]:
    """Splits of (time steps, cameras) by name."""
    return {
        name: Split(name=name, frame_ids=tuple(frames), camera_ids=tuple(cameras))
        for name, (frames, cameras) in named.items()
    }


def _sparse(number: int) -> Mapping[str, Split]:
    """Protocol D's parts of a subject."""
    subject = SUBJECTS[number]
    test = others(SPARSE, subject.cameras)
    return parts(
        train=(range(*subject.train), SPARSE),
        novel_view=(range(*subject.train, 30), test),
        novel_pose=(range(*subject.unseen, 30), test),
    )


def _first_part(cap: int) -> int:
    """Protocol C trains on the first four fifths."""
    return cap * 4 // 5


A = Protocol(
    name="zju-A",
    about="InstantNVR, GauHuman, GART: refined set, one camera, novel views of training poses",
    subjects={
        f"my_{number}": parts(train=(range(0, 500, 5), (4,)), novel_view=(range(0, 500, 30), others((4,))))
        for number in SIX
    },
    picture=PictureRule(height_px=512, mask_folders=("mask",)),
    box_padding_m=(0.05, 0.05, 0.05),
    measures=(
        Measure(name="psnr", of=Psnr()),
        Measure(name="ssim_range2", of=LEGACY),
        Measure(name="ssim_gauss", of=GAUSSIAN),
        Measure(name="lpips_vgg_01", of=VGG_AS_IS),
    ),
    notes=(
        "Masks as GauHuman and GART take them; InstantNVR's are parsing labels. GART's figures are after fitting poses "
        "to the test pictures, which this does not do.",
        HALF,
        ROUNDED,
    ),
)
B = Protocol(
    name="zju-B",
    about="HumanNeRF, 3DGS-Avatar: release, one camera, all time steps",
    subjects={
        f"CoreView_{number}": parts(train=(range(cap), (0,)), novel_view=(range(0, cap, 30), others((0,))))
        for number, cap in CAPS.items()
    },
    picture=PictureRule(height_px=512, resize="linear", mask_folders=("mask_cihp",)),
    measures=(
        Measure(name="psnr", of=Psnr()),
        Measure(name="ssim_range2", of=LEGACY),
        Measure(name="lpips_vgg", of=VGG),
    ),
    notes=(
        "Pictures as 3DGS-Avatar prepares them, but with the principal point where it is; HumanNeRF joins mask and "
        "mask_cihp.",
        HALF,
        ROUNDED,
    ),
)
C = Protocol(
    name="zju-C",
    about="MonoHuman, GoMAvatar: release, one camera, first four fifths of the time steps",
    subjects={
        f"CoreView_{number}": parts(
            train=(range(_first_part(cap)), (0,)),
            novel_view=(range(0, _first_part(cap), 30), others((0,))),
            novel_pose=(range(_first_part(cap), cap, 30), range(NUM_CAMERAS)),
        )
        for number, cap in CAPS.items()
    },
    picture=PictureRule(height_px=512, resize="lanczos4", is_masked_first=True, mask_folders=("mask", "mask_cihp")),
    measures=B.measures,
    notes=("Masks are binary once undistorted; the authors' are soft within a pixel of the edge.", HALF, ROUNDED),
)
D = Protocol(
    name="zju-D",
    about="NeuralBody, Animatable NeRF, ARAH: release, four cameras",
    subjects={f"CoreView_{number}": _sparse(number) for number in SUBJECTS},
    picture=PictureRule(height_px=512, mask_folders=("mask_cihp",)),
    box_padding_m=(0.0, 0.0, 0.05),
    measures=(
        Measure(name="psnr_box", of=Psnr(), area="box"),
        Measure(name="ssim_box", of=LEGACY, area="box_rectangle"),
        Measure(name="lpips_vgg_box", of=VGG, area="box_rectangle"),
        Measure(name="psnr_whole", of=Psnr()),
        Measure(name="ssim_whole", of=LEGACY),
    ),
    notes=(HALF, ROUNDED),
)
E = Protocol(
    name="zju-E",
    about="R3-Avatar: refined set, eight cameras",
    subjects={
        f"my_{number}": parts(
            train=(range(0, 300, 5), EIGHT),
            novel_view=(range(0, 300, 50), others(EIGHT)),
            novel_pose=(range(300, 500, 20), others(EIGHT)),
        )
        for number in SIX
    },
    picture=PictureRule(height_px=512, mask_folders=("mask",)),
    box_padding_m=(0.05, 0.05, 0.05),
    measures=(
        Measure(name="psnr", of=Psnr()),
        Measure(name="ssim_gauss", of=GAUSSIAN),
        Measure(name="lpips_vgg_01", of=VGG_AS_IS),
    ),
    notes=(HALF, ROUNDED),
)
