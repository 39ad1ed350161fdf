"""Protocols of camera domes: MetaCap's on WildDynaCap, and SpaRe's contract for a few views of any capture."""

from avatar.structs import Capture, Split

from ..protocol import evenly_spread
from .protocol import LpipsOf, Measure, PictureRule, Protocol, Psnr, Ssim
from .zju import LEGACY, VGG, parts

RANGE_1 = Ssim(window="uniform_7", data_range=1.0)
ALEX = LpipsOf(net="alex", is_rescaled=True)
MAX_TEST_VIEWS, MAX_FRAMES = 10, 10  # of SpaRe's contract; and time steps of a capture, each of which is a scene

DOME_NOTES = (
    "scikit-image's default range for floats, 2, is taken for SSIM: the release says no other.",
    "MetaCap is tuned on four views of each tested time step: the part train.",
)
DOME_MEASURES = (
    Measure(name="psnr", of=Psnr()),
    Measure(name="ssim_mask", of=LEGACY, area="mask_rectangle"),
    Measure(name="lpips_vgg_mask", of=VGG, area="mask_rectangle"),
)

WILD_DYNA_CAP = Protocol(
    name="wilddynacap",
    about="MetaCap: WildDynaCap and DynaCap in the dome, four cameras",
    subjects={
        "Subject0002_tight_testing": parts(
            train=(range(500, 9500, 100), (47, 66, 77, 89)),
            novel_view=(range(500, 9500, 100), (1, 14, 25, 39, 111, 113)),
        ),
        "Subject0003_tight_testing": parts(
            train=(range(800, 7400, 100), (65, 77, 40, 57)),
            novel_view=(range(800, 7400, 100), (23, 36, 45, 62, 49, 47)),
        ),
        "Subject0005_loose_testing": parts(
            train=(range(400, 7200, 100), (62, 75, 85, 51)),
            novel_view=(range(400, 7200, 100), (21, 34, 46, 57, 91, 90)),
        ),
        "Subject0027_tight_testing": parts(
            train=(range(500, 8100, 100), (47, 66, 76, 88)),
            novel_view=(range(500, 8100, 100), (0, 14, 26, 39, 55, 53)),
        ),
    },
    picture=PictureRule(window_px=(1600, 1200)),
    alpha_above=210 / 255,
    is_quantised=True,
    measures=DOME_MEASURES,
    notes=DOME_NOTES,
)
WILD_DYNA_CAP_OUTSIDE = Protocol(
    name="wilddynacap-outside",
    about="MetaCap: WildDynaCap in the wild, four cameras",
    subjects={
        "Subject0002_tight_inTheWild": parts(
            train=(range(100, 4500, 100), (3, 4, 0, 2)), novel_view=(range(100, 4500, 100), (1,))
        ),
        "Subject0027_tight_inTheWild": parts(
            train=(range(100, 3100, 100), (3, 0, 1, 4)), novel_view=(range(100, 3100, 100), (2,))
        ),
    },
    picture=PictureRule(window_px=(800, 600)),
    alpha_above=210 / 255,
    is_quantised=True,
    measures=DOME_MEASURES,
    notes=DOME_NOTES,
)


def _spare(num_views: int) -> Protocol:
    return Protocol(
        name=f"spare-{num_views}",
        about=f"contract of the SpaRe benchmark (AIM 2024) on any capture: {num_views} cameras, ten others to test",
        subjects={},
        num_views=num_views,
        picture=PictureRule(),
        is_quantised=True,
        is_by_frame=True,
        measures=(
            Measure(name="psnr_mask", of=Psnr(), area="mask"),
            Measure(name="psnr", of=Psnr()),
            Measure(name="ssim_mask", of=RANGE_1, area="mask_rectangle"),
            Measure(name="ssim", of=RANGE_1),
            Measure(name="lpips_alex_mask", of=ALEX, area="mask_rectangle"),
            Measure(name="lpips_alex", of=ALEX),
        ),
        notes=("The benchmark's own scenes are still lifes and its leaderboard is not public: no published figures.",),
    )


SPARE_3, SPARE_9 = _spare(3), _spare(9)


def sparse_parts(capture: Capture, num_views: int) -> dict[str, Split]:
    """SpaRe's parts of a capture: ``num_views`` cameras evenly spread over its list, and up to ten of the others.

    Both see the same time steps, up to ten: of ``test_novel_view`` where the capture has it, whose pictures are all
    there, else of all. ValueError for a capture with too few cameras.
    """
    count = len(capture.cameras)
    if count <= num_views:
        raise ValueError(f"capture {capture.name!r}: expected more than {num_views} cameras, got {count}")
    seen = evenly_spread(count, num_views)
    unseen = [camera for camera in range(count) if camera not in seen]
    test = [unseen[index] for index in evenly_spread(len(unseen), MAX_TEST_VIEWS)]
    whole = capture.splits.get("test_novel_view")
    steps = whole.frame_ids if whole else range(capture.num_frames)
    frames = [steps[index] for index in evenly_spread(len(steps), MAX_FRAMES)]
    return dict(parts(train=(frames, seen), novel_view=(frames, test)))
