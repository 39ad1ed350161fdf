"""Figures as their authors or others published them, by protocol; LPIPS times 1000.

Only figures of the very same pictures and definitions stand here; where a paper's SSIM or LPIPS is defined otherwise,
its column differs too. What no primary source confirmed is named in ``unconfirmed``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Figures = Mapping[str, float]
"""By name of the measure."""


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """What was published of one method.

    Attributes:
        protocol, part: of which protocol, and what was tested.
        method: its name, and in brackets what a reader must know to compare.
        figures: means over all subjects of the protocol; empty where only some were published.
        source: where the figures were read.
        subjects: by capture, where published.
        unconfirmed: names of figures that no primary source confirmed.
    """

    protocol: str
    method: str
    figures: Figures
    source: str
    part: str = "novel_view"
    subjects: Mapping[str, Figures] = field(default_factory=dict)
    unconfirmed: frozenset[str] = frozenset()


NUMBERS = (313, 315, 377, 386, 387, 390, 392, 393, 394)
NEURAL_BODY = "zju3dv/neuralbody, supplementary material"


def _a(method: str, source: str, unconfirmed: tuple[str, ...] = (), **figures: float) -> PublishedRow:
    return PublishedRow(
        protocol="zju-A", method=method, figures=figures, source=source, unconfirmed=frozenset(unconfirmed)
    )


def _in_box(method: str, part: str, mean: str, each: str = "") -> PublishedRow:
    """A row of protocol D from ``psnr/ssim`` words: the mean, and perhaps one of each subject in order."""

    def figures(word: str) -> Figures:
        psnr, ssim = map(float, word.split("/"))
        return {"psnr_box": psnr, "ssim_box": ssim}

    words = each.split()
    names = [f"CoreView_{number}" for number in NUMBERS][: len(words)]
    subjects = {name: figures(word) for name, word in zip(names, words, strict=True)}
    return PublishedRow(
        protocol="zju-D", method=method, part=part, figures=figures(mean), source=NEURAL_BODY, subjects=subjects
    )


def _b(method: str, source: str, figures: Figures, each: Mapping[int, float]) -> PublishedRow:
    subjects = {f"CoreView_{number}": {"psnr": psnr} for number, psnr in each.items()}
    return PublishedRow(protocol="zju-B", method=method, figures=figures, source=source, subjects=subjects)


GART = "GART (Lei et al., CVPR 2024), table of ZJU-MoCap"
PUBLISHED: tuple[PublishedRow, ...] = (
    _a("PixelNeRF", GART, psnr=24.71, ssim_range2=0.89, lpips_vgg_01=121.86),
    _a("NHP", GART, psnr=28.25, ssim_range2=0.95, lpips_vgg_01=64.77),
    _a("NeuralBody", GART, psnr=29.03, ssim_range2=0.96, lpips_vgg_01=42.47),
    _a("AnimNeRF", GART, psnr=29.77, ssim_range2=0.96, lpips_vgg_01=46.89),
    _a(
        "InstantAvatar",
        "GauHuman (Hu et al., CVPR 2024), its table",
        ("psnr", "ssim_gauss", "lpips_vgg_01"),
        psnr=29.73,
        ssim_gauss=0.938,
        lpips_vgg_01=68.4,
    ),
    _a("HumanNeRF", GART, psnr=30.66, ssim_range2=0.97, lpips_vgg_01=33.38),
    _a(
        "InstantNVR",
        "InstantNVR (Geng et al., CVPR 2023)",
        ("ssim_range2",),
        psnr=31.01,
        ssim_range2=0.971,
        lpips_vgg_01=38.45,
    ),
    _a("GauHuman", "GauHuman (Hu et al., CVPR 2024)", psnr=31.34, ssim_gauss=0.965, lpips_vgg_01=30.51),
    _a(
        "GART (poses fitted to the test pictures)",
        GART,
        ("ssim_range2",),
        psnr=32.22,
        ssim_range2=0.977,
        lpips_vgg_01=29.21,
    ),
    _b("HumanNeRF", "3DGS-Avatar, its table", {}, {377: 30.41, 386: 33.20, 392: 31.04, 394: 30.31}),
    _b(
        "3DGS-Avatar",
        "3DGS-Avatar (Qian et al., CVPR 2024)",
        {"psnr": 30.61, "ssim_range2": 0.970, "lpips_vgg": 29.58},
        {377: 30.64, 386: 33.63, 392: 31.66, 394: 30.54},
    ),
    _b("MIGS", "MIGS, its table", {}, {377: 32.85, 386: 34.98, 392: 33.88, 394: 32.28}),
    PublishedRow(
        protocol="zju-C",
        method="GoMAvatar",
        figures={"psnr": 30.37, "ssim_range2": 0.969, "lpips_vgg": 32.5},
        source="GoMAvatar (Wen et al., CVPR 2024)",
        unconfirmed=frozenset({"psnr", "ssim_range2", "lpips_vgg"}),
    ),
    _in_box(
        "NeuralBody",
        "novel_view",
        "28.10/.944",
        "30.56/.971 27.24/.962 27.64/.951 28.60/.931 25.79/.928 27.59/.926 29.44/.946 27.58/.939 28.44/.940",
    ),
    PublishedRow(
        protocol="zju-D",
        method="NeuralBody, whole image",
        figures={"psnr_whole": 34.15, "ssim_whole": 0.982},
        source=NEURAL_BODY,
        subjects={
            f"CoreView_{number}": {"psnr_whole": psnr}
            for number, psnr in zip(
                NUMBERS, (35.21, 33.07, 33.86, 36.07, 31.39, 34.48, 35.76, 33.24, 34.31), strict=True
            )
        },
    ),
    _in_box(
        "NHR",
        "novel_view",
        "23.87/.893",
        "26.68/.935 19.81/.874 23.79/.918 25.02/.879 22.65/.858 23.72/.873 24.73/.902 23.47/.894 25.01/.906",
    ),
    _in_box(
        "Neural textures",
        "novel_view",
        "23.77/.896",
        "25.78/.929 19.44/.869 23.74/.917 24.93/.877 22.44/.888 24.33/.881 24.96/.905 23.50/.896 24.84/.903",
    ),
    _in_box(
        "Neural Volumes",
        "novel_view",
        "21.39/.821",
        "20.09/.831 18.57/.824 21.15/.842 23.21/.820 20.74/.838 22.49/.825 22.88/.726 21.29/.842 22.08/.843",
    ),
    _in_box(
        "NeuralBody",
        "novel_pose",
        "23.49/.885",
        "23.95/.905 19.56/.852 23.91/.909 25.68/.881 21.60/.870 23.90/.870 25.76/.909 23.25/.893 23.80/.878",
    ),
    PublishedRow(
        protocol="zju-D",
        method="NeuralBody, whole image",
        part="novel_pose",
        figures={"psnr_whole": 29.54, "ssim_whole": 0.966},
        source=NEURAL_BODY,
    ),
    _in_box(
        "NHR",
        "novel_pose",
        "22.22/.872",
        "23.05/.893 18.88/.844 21.94/.885 23.70/.853 20.97/.866 22.65/.858 23.66/.893 22.27/.885 22.87/.874",
    ),
    _in_box(
        "Neural textures",
        "novel_pose",
        "22.16/.872",
        "22.56/.889 18.38/.841 22.07/.886 23.70/.851 20.64/.862 22.90/.864 24.08/.900 22.45/.885 22.67/.871",
    ),
    PublishedRow(
        protocol="zju-E",
        method="R3-Avatar",
        figures={"psnr": 34.64, "ssim_gauss": 0.976, "lpips_vgg_01": 22.5},
        source="R3-Avatar, its table",
    ),
)
