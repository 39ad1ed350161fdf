"""Files of calibrated cameras, as other programs write them, to :class:`~avatar.capture.calibration.Calibration`.

What comes out is the house's but for the world: metres (COLMAP and NeRF tools: the scale of their reconstruction),
OpenCV axes, transforms from world to camera, pixel centres at .5. The world keeps the axes of the file;
``avatar.capture.upright`` turns it to z-up.

====================================  ============================  ===================================
file                                  written by                    on disk
====================================  ============================  ===================================
``intri.yml`` and ``extri.yml``       EasyMocap, EasyVolcap         metres, pixel centres at integers
``*.yml`` of one camera               OpenCV's calibration sample   the board's unit, centres at integers
``*.qca.txt``                         Qualisys                      mm, 1/64 pixels, camera to world
``*.toml``                            Pose2Sim, anipose, caliscope  metres or the board's unit
``cameras`` and ``images.txt/.bin``   COLMAP                        any scale, pixel centres at .5
``transforms*.json``                  nerfstudio, instant-ngp       OpenGL camera to world, centres at .5
``annots.npy``                        ZJU-MoCap and relatives       mm, centres mostly at integers
``*.json`` of ``avatar calibrate``    avatar                        metres, pixel centres at .5
====================================  ============================  ===================================
"""

from .colmap import read_colmap
from .easymocap_writer import write_easymocap
from .nerf import read_transforms
from .opencv import read_easymocap, read_opencv
from .pose2sim import read_toml
from .qualisys import read_qualisys
from .reader import read_calibrations

__all__ = [
    "read_calibrations",
    "read_colmap",
    "read_easymocap",
    "read_opencv",
    "read_qualisys",
    "read_toml",
    "read_transforms",
    "write_easymocap",
]
