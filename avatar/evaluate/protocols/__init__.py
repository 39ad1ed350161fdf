"""Published protocols as data, the figures they define, and the tables published under them.

There is no one "PSNR on ZJU-MoCap": the same pictures score 34 dB over the whole image and 28 dB inside the body's box.
So a figure carries its protocol's name, and figures of two protocols are not compared.
"""

from .judge import ProtocolImage, ProtocolReport, judge, parts_of
from .prepared import Prepared, figures, prepare
from .protocol import LpipsOf, Measure, PictureRule, Protocol, Psnr, Ssim
from .published import PUBLISHED, PublishedRow
from .rigs import SPARE_3, SPARE_9, WILD_DYNA_CAP, WILD_DYNA_CAP_OUTSIDE
from .table import Line, compared, missing, rows_of
from .zju import A, B, C, D, E

PROTOCOLS = {
    protocol.name: protocol for protocol in (A, B, C, D, E, WILD_DYNA_CAP, WILD_DYNA_CAP_OUTSIDE, SPARE_3, SPARE_9)
}
"""By name."""

__all__ = [
    "PROTOCOLS",
    "PUBLISHED",
    "Line",
    "LpipsOf",
    "Measure",
    "PictureRule",
    "Prepared",
    "Protocol",
    "ProtocolImage",
    "ProtocolReport",
    "Psnr",
    "PublishedRow",
    "Ssim",
    "compared",
    "figures",
    "judge",
    "missing",
    "parts_of",
    "prepare",
    "rows_of",
]
