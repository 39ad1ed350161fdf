"""Pictures and figures of each protocol on constructed images, against numbers worked by hand."""

import math
from dataclasses import replace

import pytest
import torch

from avatar.evaluate.lpips import Lpips
from avatar.evaluate.protocols import PROTOCOLS, LpipsOf, Prepared, figures, prepare
from avatar.structs import Camera, Frame, Pose, Rendering


def frame(image: torch.Tensor, is_foreground: torch.Tensor) -> Frame:
    """Seen from the origin along +z; the focal length is the height."""
    height, width = is_foreground.shape
    intrinsics = torch.tensor([[height, 0, width / 2], [0, height, height / 2], [0, 0, 1]])
    pose = Pose(local_quats=torch.zeros(1, 4), root_position_world=torch.zeros(3), frame_id=0)
    camera = Camera(
        name="a", camera_from_world=torch.eye(4), intrinsics_px=intrinsics.float(), height=height, width=width
    )
    return Frame(camera=camera, image=image, is_foreground=is_foreground, pose=pose, frame_id=0, camera_id=0)


def grey(height: int, width: int, value: float) -> torch.Tensor:
    return torch.full((height, width, 3), value)


def rendering(color: torch.Tensor, alpha: float = 1.0) -> Rendering:
    return Rendering(color=color, alpha=torch.full(color.shape[:2], alpha))


@pytest.fixture
def person() -> Frame:
    """512 x 512, grey everywhere; the mask has 100 x 50 pixels."""
    mask = torch.zeros(512, 512, dtype=torch.bool)
    mask[200:300, 230:280] = True
    return frame(grey(512, 512, 0.4), mask)


# Seen 4 m away: 1 m is 128 pixels. Padded by 5 cm each way, the near face is at 3.95 m.
BODY = torch.tensor([[-0.4, -0.6, 4.0], [0.4, 0.6, 4.4]])


def test_outside_the_box_both_are_black_in_a(person: Frame) -> None:
    """0.1 too bright wherever the person or the background is: only the box's pixels count, over the whole image.

    Half widths 0.45 * 512 / 3.95 = 58.3 and 0.65 * 512 / 3.95 = 84.3 pixels: 116 and 168 pixel centres.
    """
    truth = prepare(PROTOCOLS["zju-A"], person, BODY)
    assert truth.in_box is not None
    assert int(truth.in_box.sum()) == 116 * 168
    shown = truth.frame.image + 0.1
    found = figures(PROTOCOLS["zju-A"], truth, rendering(shown))
    assert found["psnr"] == pytest.approx(20 + 10 * math.log10(512 * 512 / (116 * 168)), abs=1e-5)
    assert float(truth.frame.image.sum()) == pytest.approx(3 * 0.4 * 100 * 50, rel=1e-6)


def test_psnr_of_d_is_over_the_boxes_pixels(person: Frame) -> None:
    """The same, but padded along z only: near face 3.95 m, half widths 51.8 and 77.8 pixels, so 104 x 156."""
    protocol = PROTOCOLS["zju-D"]
    truth = prepare(protocol, person, BODY)
    found = figures(protocol, truth, rendering(truth.frame.image + 0.1))
    assert found["psnr_box"] == pytest.approx(20, abs=1e-5)
    assert found["psnr_whole"] == pytest.approx(20 + 10 * math.log10(512 * 512 / (104 * 156)), abs=1e-5)
    assert found["ssim_box"] is not None
    assert found["ssim_whole"] is not None
    assert found["ssim_box"] < found["ssim_whole"]


def test_ssim_of_d_is_of_the_boxes_rectangle() -> None:
    """Flat inside the rectangle: (2 a b + c) / (a^2 + b^2 + c) with the legacy c = 4e-4."""
    protocol = PROTOCOLS["zju-D"]
    truth = prepare(protocol, frame(grey(512, 512, 0.25), torch.ones(512, 512, dtype=torch.bool)), BODY)
    found = figures(protocol, truth, rendering(grey(512, 512, 0.5)))
    assert found["ssim_box"] == pytest.approx((0.25 + 4e-4) / (0.3125 + 4e-4), abs=1e-6)
    assert found["psnr_box"] == pytest.approx(-20 * math.log10(0.25), abs=1e-6)


def test_legacy_range_and_gaussian_windows_are_two_columns(person: Frame) -> None:
    truth = prepare(PROTOCOLS["zju-A"], replace(person, is_foreground=torch.ones(512, 512, dtype=torch.bool)), BODY)
    noise = 0.1 * torch.randn(512, 512, 3, generator=torch.Generator().manual_seed(0))
    found = figures(PROTOCOLS["zju-A"], truth, rendering(truth.frame.image + noise))
    assert found["ssim_range2"] is not None
    assert found["ssim_gauss"] is not None
    assert found["ssim_range2"] > found["ssim_gauss"]


def test_b_takes_the_whole_image_as_rendered(person: Frame) -> None:
    """Nothing is made black in the rendering: a floater far from the person costs."""
    truth = prepare(PROTOCOLS["zju-B"], person)
    shown = truth.frame.image.clone()
    shown[:10, :10] = 0.5
    found = figures(PROTOCOLS["zju-B"], truth, rendering(shown))
    assert found["psnr"] == pytest.approx(-10 * math.log10(0.25 * 100 / 512**2), abs=1e-6)


@pytest.mark.parametrize("name", ["zju-A", "zju-B", "zju-C"])
def test_where_the_background_becomes_black(name: str) -> None:
    """White everywhere, 1024 pixels to 512, and a mask that ends between the pixels of a pair.

    The mask takes its nearest pixel, so the pair is the person's: white where the background became black after the
    resize, mixed where before.
    """
    mask = torch.zeros(1024, 1024, dtype=torch.bool)
    mask[:, :501] = True
    truth = prepare(PROTOCOLS[name], frame(grey(1024, 1024, 1.0), mask), BODY - BODY.new_tensor([0.2, 0, 0]))
    row = 256
    assert truth.frame.image.shape == (512, 512, 3)
    assert torch.equal(truth.frame.is_foreground[row], torch.arange(512) <= 250)
    edge = float(truth.frame.image[row, 250, 0])
    assert 0.4 < edge < 0.6 if name == "zju-C" else edge == 1
    assert float(truth.frame.image[row, 251:].max()) == 0


def test_the_box_is_seen_by_the_published_camera() -> None:
    """K halved without its half pixel: the box's left edge is a quarter pixel further right than in the exact one."""
    person = frame(grey(1024, 1024, 0.4), torch.ones(1024, 1024, dtype=torch.bool))
    truth = prepare(PROTOCOLS["zju-A"], person, BODY)
    assert truth.frame.camera.intrinsics_px[0, 2] == 256
    assert truth.in_box is not None
    columns = truth.in_box.any(0).nonzero()[[0, -1], 0].tolist()
    # Centre 256.25, half width 58.329: 197.92 .. 314.58, so pixel centres 198.5 .. 314.5.
    assert columns == [198, 314]


def test_dome_figures_by_hand() -> None:
    """A window of 1600 x 1200, flat, PSNR over all of it and SSIM over the person's rectangle; faint pixels black."""
    protocol = PROTOCOLS["wilddynacap"]
    mask = torch.zeros(1700, 1300, dtype=torch.bool)
    mask[700:800, 600:700] = True
    truth = prepare(protocol, frame(grey(1700, 1300, 0.2), mask))
    assert truth.frame.crop is not None
    assert (truth.frame.crop.top, truth.frame.crop.left) == (0, 50)
    assert truth.frame.camera.intrinsics_px[:2, 2].tolist() == [600, 850]
    found = figures(protocol, truth, rendering(2 * truth.frame.image, alpha=211 / 255))
    assert found["psnr"] == pytest.approx(-10 * math.log10(0.04 * 10_000 / (1600 * 1200)), abs=1e-6)
    assert found["ssim_mask"] == pytest.approx((0.16 + 4e-4) / (0.2 + 4e-4), abs=1e-6)
    faint = figures(protocol, truth, rendering(truth.frame.image, alpha=209 / 255))
    assert faint["psnr"] == pytest.approx(-10 * math.log10(0.04 * 10_000 / (1600 * 1200)), abs=1e-6)


def test_masked_twins_of_sparse_views() -> None:
    """Rounded to 8 bits: 102/255 becomes 153/255, 0.2 more, on 50 of 1,600 pixels."""
    mask = torch.zeros(40, 40, dtype=torch.bool)
    mask[10:20, 5:10] = True
    truth = prepare(PROTOCOLS["spare-3"], frame(grey(40, 40, 0.4), mask))
    found = figures(PROTOCOLS["spare-3"], truth, rendering(truth.frame.image * 1.5 + 0.0004))
    assert found["psnr_mask"] == pytest.approx(-20 * math.log10(0.2), abs=1e-5)
    assert found["psnr"] == pytest.approx(-20 * math.log10(0.2) + 10 * math.log10(1600 / 50), abs=1e-5)
    assert found["ssim_mask"] is None  # under seven pixels wide
    assert found["lpips_alex"] is None


def test_nobody_in_the_picture(person: Frame) -> None:
    truth = prepare(PROTOCOLS["spare-9"], replace(person, is_foreground=torch.zeros(512, 512, dtype=torch.bool)))
    found = figures(PROTOCOLS["spare-9"], truth, rendering(grey(512, 512, 0.0)))
    assert found["psnr_mask"] is None
    assert found["ssim_mask"] is None
    assert found["ssim"] == pytest.approx(1)


def test_lpips_is_fed_as_each_protocol_feeds_it(person: Frame) -> None:
    """Our net maps x to 2 x - 1; what others fed as x must come as (x + 1) / 2. Times 1000."""
    fed: list[torch.Tensor] = []

    class Largest(Lpips):
        """The largest difference."""

        def forward(self, prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
            fed.append(truth)
            return (prediction - truth).abs().max()

    net = Largest("alex")
    truth = Prepared(frame=person, in_box=torch.ones(512, 512, dtype=torch.bool))
    shown = rendering(person.image + 0.1)
    assert figures(PROTOCOLS["zju-A"], truth, shown, {"vgg": net})["lpips_vgg_01"] == pytest.approx(50, abs=1e-3)
    assert figures(PROTOCOLS["zju-B"], truth, shown, {"vgg": net})["lpips_vgg"] == pytest.approx(100, abs=1e-3)
    assert [float(image.max()) for image in fed] == pytest.approx([0.7, 0.4])
    assert LpipsOf(net="vgg", is_rescaled=True) in [measure.of for measure in PROTOCOLS["zju-B"].measures]
