"""What a user is told of a motion file."""

from io import StringIO

from rich.console import Console

from avatar.motion import RetargetReport
from tools.motion_file import table_of

REPORT = RetargetReport(
    source="walk.bvh",
    mapped=(("Hips", "pelvis"), ("Head", "head")),
    unmapped_source=("[red]tail", *(f"wing {row}" for row in range(20))),
    resting_target=(),
    scale=1.25,
    ground_shift_m=-0.5,
    frames=12,
    frame_rate_hz=30.0,
    notes=("its +z axis points up",),
)


def test_the_report_is_short_and_shows_names_as_they_are():
    console = Console(file=StringIO(), width=100)
    console.print(table_of(REPORT))
    assert isinstance(console.file, StringIO)
    shown = " ".join(console.file.getvalue().split())
    for part in (
        "walk.bvh",
        "12 time steps at 30 Hz",
        "2 of the avatar's 2 move",
        "[red]tail, wing 0, wing 1",
        "and 9 more",
        "scaled by 1.25, lifted by -0.500 m",
        "its +z axis points up",
    ):
        assert part in shown
    assert "at rest" not in shown
