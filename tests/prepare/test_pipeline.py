"""The whole way from videos to a capture, with a landmarker that knows the truth."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from shutil import copytree

import cv2
import numpy as np
import pytest
import torch

from avatar.captures import open_capture
from avatar.prepare import Findings, MonocularConfig, PrepareConfig, open_folder, prepare, read_findings

from .scene import FOCAL_PX, HEIGHT, WIDTH, Knowing, Scene, person, standing


def prepared(scene: Scene, config: PrepareConfig, out: Path, notify=lambda *told: None) -> tuple[Findings, int]:
    """What was found, and at how many pictures the landmarker had to look."""
    knowing = Knowing(scene)
    open_folder(out, config.videos)
    found = prepare(config, out, notify=notify, make_landmarker=lambda config: knowing, fit=standing)
    return found, len(knowing.looks)


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, PrepareConfig, Path]:
    """Three folders of pictures, prepared once."""
    folder, scene = tmp_path_factory.mktemp("small"), Scene()
    config = PrepareConfig(
        videos=scene.write_pictures(folder / "videos"),
        calibration=scene.write_calibration(folder / "Calib.toml"),
        pictures_hz=scene.rate_hz,
    )
    prepared(scene, config, folder / "out")
    return scene, config, folder / "out"


def test_videos_become_a_capture(tmp_path: Path) -> None:
    """Four videos through a lens: pictures, masks and landmarks are where the true person is."""
    scene = Scene(cameras=4, frames=10)
    config = PrepareConfig(
        videos=scene.write_videos(tmp_path / "videos"), calibration=scene.write_calibration(tmp_path / "c.toml")
    )
    found, _ = prepared(scene, config, tmp_path / "out")
    capture = open_capture(tmp_path / "out", "train_dense")
    assert capture.num_frames == scene.frames
    assert capture.frame_rate_hz == pytest.approx(scene.rate_hz)
    truth = torch.from_numpy(person(scene.times_s(0)))
    assert float((found.points_world - truth).norm(dim=-1).max()) < 2e-3
    assert [camera.name for camera in capture.cameras] == ["cam01", "cam02", "cam03", "cam04"]
    assert not found.is_refined
    assert float(np.nanmax([camera.after_px for camera in found.cameras])) < 0.1
    assert set(capture.splits) == {"train_dense", "test_novel_view", "test_novel_time", "train_all"}
    straight = replace(scene, lens=(0.0,) * 5)
    for camera in range(4):
        mask = capture.load_frame(3, camera, False).is_foreground.numpy()
        true = straight.outline(straight.pixels(camera)[3]) > 0
        assert (mask & true).sum() / (mask | true).sum() > 0.9


def test_findings_are_kept(small: tuple[Scene, PrepareConfig, Path]) -> None:
    _, config, out = small
    found, looks = prepared(Scene(), config, out)
    assert looks == 0, "nothing changed, so nothing is looked at again"
    kept = read_findings(out / "prepare" / "findings.json")
    assert kept.cameras[0].name == found.cameras[0].name == "cam01"
    assert kept.warnings == found.warnings
    assert torch.allclose(kept.points_world, found.points_world, atol=1e-4)
    assert torch.equal(kept.disagreements.isnan(), found.disagreements.isnan())


STOPS = (
    *(("videos", 1), ("landmarks", 1), ("landmarks", 11), ("clocks", 1), ("cameras", 1), ("lenses", 2)),
    *(("pictures", 1), ("pictures", 13), ("body", 1), ("report", 1)),
)


def test_a_stopped_preparation_goes_on(small: tuple[Scene, PrepareConfig, Path], tmp_path: Path) -> None:
    """Stopped once at and within every stage, the result is the same to the bit, and nothing is done twice."""
    scene, config, out = small
    left = 0

    for stage, times in STOPS:
        left = times

        def stop(at: str, *told: object, stage: str = stage) -> None:
            nonlocal left
            left -= at == stage
            if left == 0:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            prepared(scene, config, tmp_path / "out", stop)
    _, again = prepared(scene, config, tmp_path / "out")
    assert again == 0
    assert digests(tmp_path / "out") == digests(out)


def test_late_options_redo_late_stages(small: tuple[Scene, PrepareConfig, Path], tmp_path: Path) -> None:
    scene, config, made = small
    out = copytree(made, tmp_path / "out")
    before = digests(out)
    smaller = replace(config, max_height=72, stride=2)
    _, looks = prepared(scene, smaller, out)
    after = digests(out)
    assert looks == 0
    assert all(before[name] == after[name] for name in before if name.startswith(("prepare/videos", "prepare/land")))
    capture = open_capture(out)
    assert (capture.cameras[0].height, capture.cameras[0].width) == (HEIGHT // 2, WIDTH // 2)
    assert capture.num_frames == 4
    assert capture.frame_rate_hz == 5.0
    assert len(list((out / "cam01").iterdir())) == 4, "pictures of the larger capture are gone"


def test_another_lens_sets_clocks_anew(small: tuple[Scene, PrepareConfig, Path], tmp_path: Path) -> None:
    """And does what comes after; landmarks are those of the video."""
    scene, config, made = small
    out = copytree(made, tmp_path / "out")
    bent = replace(scene, lens=(-0.11, 0.05, 0.001, -0.001, 0.0))
    other = replace(config, calibration=bent.write_calibration(tmp_path / "c.toml"))
    _, looks = prepared(scene, other, out)
    before, after = digests(made), digests(out)
    assert looks == 0
    changed = {name.split("/")[1] for name in before if name.startswith("prepare/") and before[name] != after[name]}
    assert changed >= {"clocks", "cameras", "lenses", "pictures", "body"}
    assert not changed & {"videos", "landmarks"}


def test_another_picture_is_looked_at_anew(small: tuple[Scene, PrepareConfig, Path], tmp_path: Path) -> None:
    scene, config, out = small
    videos = copytree(config.videos, tmp_path / "videos")
    path = videos / "cam02" / "0005.png"
    path.write_bytes(path.read_bytes() + b" ")
    copytree(out, tmp_path / "out")
    knowing = Knowing(scene)
    changed = replace(config, videos=videos)
    prepare(changed, tmp_path / "out", make_landmarker=lambda config: knowing, fit=standing)
    assert {camera for camera, _ in knowing.looks} == {1}
    assert len(knowing.looks) == scene.frames


def test_missing_pictures_and_people_are_left_out(tmp_path: Path) -> None:
    scene = Scene(cameras=4, frames=12, absent={1: (4, 5)})
    videos = scene.write_pictures(tmp_path / "videos")
    (videos / "cam03" / "0007.png").unlink()
    (videos / "cam03" / "0008.png").unlink()
    (videos / "cam03" / "0009.png").unlink()
    config = PrepareConfig(
        videos=videos, calibration=scene.write_calibration(tmp_path / "c.toml"), pictures_hz=10.0, refine="never"
    )
    found, _ = prepared(scene, config, tmp_path / "out")
    assert [camera.unseen for camera in found.cameras] == [0, 2, 0, 0]
    assert found.cameras[2].missing > 0
    capture = open_capture(tmp_path / "out", "train_all")
    for name in capture.splits:
        open_capture(tmp_path / "out", name)


def test_a_camera_that_sees_nobody_is_left_out(tmp_path: Path) -> None:
    scene = Scene(cameras=3, absent={2: tuple(range(8))})
    config = PrepareConfig(
        videos=scene.write_pictures(tmp_path / "videos"),
        calibration=scene.write_calibration(tmp_path / "c.toml"),
        pictures_hz=10.0,
    )
    found, _ = prepared(scene, config, tmp_path / "out")
    assert [camera.name for camera in found.cameras] == ["cam01", "cam02"]
    assert any("cam03: nobody was found" in warning for warning in found.warnings)


def test_clocks_are_set(tmp_path: Path) -> None:
    """A camera that started two frames late."""
    scene = Scene(cameras=3, frames=15, late_s=(0.0, 0.0, 0.2))
    config = PrepareConfig(
        videos=scene.write_pictures(tmp_path / "videos"),
        calibration=scene.write_calibration(tmp_path / "c.toml"),
        pictures_hz=10.0,
    )
    found, _ = prepared(scene, config, tmp_path / "out")
    assert [camera.offset_s for camera in found.cameras] == pytest.approx([0, 0, 0.2])
    assert len(found.points_world) == 13


def test_a_video_that_ends_early_is_told(tmp_path: Path) -> None:
    scene = Scene(frames=12)
    config = PrepareConfig(
        videos=scene.write_pictures(tmp_path / "videos"),
        calibration=scene.write_calibration(tmp_path / "c.toml"),
        pictures_hz=scene.rate_hz,
    )
    for frame in range(5, 12):
        (config.videos / "cam02" / f"{frame:04d}.png").unlink()
    found, _ = prepared(scene, config, tmp_path / "out")
    assert len(found.points_world) == 5
    assert any("cam02: its video ends 0.7 s before the last one does" in warning for warning in found.warnings)


def no_videos(folder: Path, scene: Scene) -> None:
    (folder / "videos").rename(folder / "elsewhere")


def empty_folder(folder: Path, scene: Scene) -> None:
    no_videos(folder, scene)
    (folder / "videos").mkdir()


def damaged_picture(folder: Path, scene: Scene) -> None:
    path = folder / "videos" / "cam02" / "0003.png"
    path.write_bytes(path.read_bytes()[:200])


def other_size(folder: Path, scene: Scene) -> None:
    cv2.imwrite(str(folder / "videos" / "cam02" / "0003.png"), np.zeros((50, 60, 3), np.uint8))


def damaged_video(folder: Path, scene: Scene) -> None:
    empty_folder(folder, scene)
    for camera in range(3):
        (folder / "videos" / f"cam0{camera + 1}.mp4").write_bytes(b"no video" * 100)


def other_names(folder: Path, scene: Scene) -> None:
    for camera, name in enumerate(("left", "middle")):
        (folder / "videos" / scene.name(camera)).rename(folder / "videos" / name)


def millimetres(folder: Path, scene: Scene) -> None:
    scene.write_calibration(folder / "c.toml", scale=30.0)


def cropped(folder: Path, scene: Scene) -> None:
    scene.write_calibration(folder / "c.toml", size=(WIDTH, 2 * HEIGHT))


def no_calibration(folder: Path, scene: Scene) -> None:
    (folder / "c.toml").unlink()


def nobody(folder: Path, scene: Scene) -> None:
    scene.absent.update({camera: tuple(range(4)) for camera in range(3)})


def huge_numbers(folder: Path, scene: Scene) -> None:
    path = folder / "videos" / "cam02" / "0003.png"
    path.rename(path.with_name("999999999.png"))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (huge_numbers, "cam02: its pictures are numbered or timed with gaps"),
        (no_videos, "no such video or folder"),
        (empty_folder, "neither videos"),
        (damaged_picture, "0003.png: is truncated"),
        (other_size, "0003.png: is of another size"),
        (damaged_video, "cam01.mp4: cannot be decoded"),
        (other_names, "name each video like its camera"),
        (millimetres, "inches: give --unit-m 0.0254"),
        (cropped, "the calibration is for 288 x 128"),
        (no_calibration, "no such calibration"),
        (nobody, "somebody was found in no video"),
    ],
)
def test_bad_inputs(tmp_path: Path, spoil, says: str) -> None:
    """Each ends in one line that says what to do."""
    scene = Scene(frames=4, absent={})
    scene.write_pictures(tmp_path / "videos")
    scene.write_calibration(tmp_path / "c.toml")
    spoil(tmp_path, scene)
    config = PrepareConfig(videos=tmp_path / "videos", calibration=tmp_path / "c.toml", pictures_hz=10.0)
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        prepared(scene, config, tmp_path / "out")


def test_one_video_does_without_calibration(tmp_path: Path) -> None:
    """The person is where it is, by the lens and the height that are told; without them that is said."""
    scene = Scene(cameras=1, lens=(0.0,) * 5)
    videos = scene.write_pictures(tmp_path / "videos")
    degrees = float(np.rad2deg(2 * np.arctan(HEIGHT / 2 / FOCAL_PX)))
    known = MonocularConfig(fov_degrees=degrees, height_m=1.83, smooth_s=0.0)
    config = PrepareConfig(videos=videos, pictures_hz=scene.rate_hz, one_camera=known)
    found, _ = prepared(scene, config, tmp_path / "known")
    capture = open_capture(tmp_path / "known", "train_dense")
    (camera,) = capture.cameras
    assert float(camera.intrinsics_px[0, 0]) == pytest.approx(FOCAL_PX)
    places = found.points_world @ camera.camera_from_world[:3, :3].double().mT + camera.camera_from_world[:3, 3]
    world, truth = scene.camera_from_world[0], person(scene.times_s(0))
    errors = np.linalg.norm(places.numpy() - (truth @ world[:3, :3].T + world[:3, 3]), axis=-1)
    assert errors.mean() < 0.1, "of a person three metres away"
    assert found.bones == ()
    notes = [note for note in found.cameras[0].notes if "never seen" not in note]
    assert [note.split()[1] for note in notes] == ["it"], "of the lens there is nothing to say"
    config = PrepareConfig(videos=videos, pictures_hz=scene.rate_hz)
    found, _ = prepared(scene, config, tmp_path / "unknown")
    assert any("Give --fov" in warning for warning in found.warnings)
    assert any("a person of 1.70 m. Give --height" in warning for warning in found.warnings)


def test_several_videos_need_a_calibration(tmp_path: Path) -> None:
    config = PrepareConfig(videos=Scene(frames=1).write_pictures(tmp_path / "videos"), pictures_hz=10.0)
    with pytest.raises(ValueError, match="several videos, no calibration; give the file"):
        prepared(Scene(), config, tmp_path / "out")


def test_one_frame_is_enough(tmp_path: Path) -> None:
    scene = Scene(frames=1)
    config = PrepareConfig(
        videos=scene.write_pictures(tmp_path / "videos"),
        calibration=scene.write_calibration(tmp_path / "c.toml"),
        pictures_hz=10.0,
    )
    found, _ = prepared(scene, config, tmp_path / "out")
    assert open_capture(tmp_path / "out", "train_dense").num_frames == 1
    assert any("100% of the scene behind the person is never seen" in note for note in found.cameras[0].notes)
