"""From measured disagreements to plain sentences: what most likely keeps a fit from being sharp, the worst first.

What is compared across cameras or frames are medians, and a fault must stand out of its like: a shift of 0.3 pixels
that wanders from frame to frame accuses no camera, while the same shift of all frames of one camera would. Thresholds
are in ``CauseConfig``.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from avatar.atomic import replacing

from .body_causes import cloth_causes, coverage_causes, detail_causes, outline_causes, pose_causes
from .camera_causes import camera_causes
from .cause import Cause, CauseConfig
from .comparison import Comparison
from .coverage import Coverage
from .diagnosis import Diagnosis


def find_causes(
    diagnosis: Diagnosis, coverage: Coverage | None = None, config: CauseConfig | None = None
) -> tuple[Cause, ...]:
    """What stands out, by ``share``; nothing where all agrees as well as it should."""
    config = config or CauseConfig()
    comparison = Comparison(diagnosis)
    checks = (camera_causes, pose_causes, outline_causes, cloth_causes)
    causes = [cause for check in checks for cause in check(comparison, config)]
    causes += [] if causes else detail_causes(comparison, config)
    causes += coverage_causes(coverage, config) if coverage else []
    return tuple(sorted(causes, key=lambda cause: -cause.share))


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is known about why renderings of one split are not sharper."""

    diagnosis: Diagnosis
    causes: tuple[Cause, ...]
    coverage: Coverage | None = None

    @classmethod
    def of(cls, diagnosis: Diagnosis, coverage: Coverage | None = None) -> "Findings":
        """The likely causes of what was measured."""
        return cls(diagnosis=diagnosis, causes=find_causes(diagnosis, coverage), coverage=coverage)

    def write(self, path: Path) -> None:
        """Write causes and all figures to a JSON file, whole or not at all; ``Diagnosis.read`` reads the figures."""
        data = {
            "subject": self.diagnosis.subject,
            "split": self.diagnosis.split,
            "causes": [asdict(cause) for cause in self.causes],
            "coverage": self.coverage.as_json() if self.coverage else None,
            "pictures": [picture.as_json() for picture in self.diagnosis.pictures],
        }
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", "utf-8")
