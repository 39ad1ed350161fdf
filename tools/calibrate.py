"""``avatar calibrate``: films of a board become calibrated cameras."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import FlagCreatePairsOff

from avatar.atomic import replacing
from avatar.capture.calibration import Calibration
from avatar.capture.camera_files import read_calibrations
from avatar.prepare.boards import (
    Board,
    BoardFilm,
    FilmConfig,
    LensFit,
    RigFit,
    board_svg,
    calibrate_rig,
    check_rig,
    check_views,
    diverse_views,
    draw_lenses,
    draw_rig,
    fit_lenses,
    floor_rig,
    lens_warnings,
    on_one_clock,
    parse_board,
    rig_warnings,
    see_boards,
    synchronise_boards,
    upright_rig,
    write_calibrations,
)
from avatar.prepare.match import match_cameras
from avatar.prepare.sources import Source, find_sources

from .calibration_table import print_lenses, print_rig
from .console import progress, say

NEAR_S = 0.5  # the board on the floor is looked for so near to the moment that was named


@dataclass(frozen=True, kw_only=True)
class CalibrateCommand:
    """Calibrate cameras with a ChArUco board or a checkerboard that is moved about before them, or check a calibration.

    Film the board near and far, tilted, all over each picture, and where several cameras see it at the same time.

    Example: avatar calibrate --videos boards --board charuco:8x6:60:45:DICT_5X5_100 --out calibration.toml

    Attributes:
        board: charuco:COLUMNSxROWS:SQUARE_MM:MARKER_MM[:DICTIONARY], counting squares, or
            checkerboard:COLUMNSxROWS:SQUARE_MM, counting inner corners.
        videos: a folder with one synchronised video, or folder of pictures, for each camera.
        intrinsics: the same for the lenses alone, not synchronised, such as stills of each camera.
        out: the calibration to write, *.json or *.toml.
        check: a calibration to check against the board instead.
        unit_m: its unit in metres where its file does not say.
        fisheye: lenses are fisheyes.
        floor_s: when the board lies on the floor, seconds of the videos or number of the pictures; it becomes the
            origin of the world.
        rate: pictures of each video to look at, a second.
        sync: the videos are not synchronised: compare the board's speed in them first, to 1 / rate seconds; give the
            videos' own rate.
        print_board: write the board as an SVG of its true size, for print.
    """

    board: str
    videos: Path | None = None
    intrinsics: Path | None = None
    out: Path | None = None
    check: Path | None = None
    unit_m: float | None = None
    fisheye: FlagCreatePairsOff[bool] = False
    floor_s: float | None = None
    rate: float = 2.0
    sync: FlagCreatePairsOff[bool] = False
    print_board: Path | None = None


def run(config: CalibrateCommand) -> None:
    """Calibrate, or check."""
    board = parse_board(config.board)
    if config.print_board is not None:
        _print(config.print_board, board)
        return
    if config.videos is None and config.intrinsics is None:
        raise ValueError("give --videos of synchronised cameras, or --intrinsics of each by itself, or both")
    if config.check is None and config.out is None:
        raise ValueError("give --out, the calibration to write, or --check, the calibration to check")
    if config.out is not None and config.out.suffix not in (".json", ".toml"):
        raise ValueError(f"--out {config.out}: expected a name that ends in .json or .toml")
    given = read_calibrations(config.check, config.unit_m) if config.check else []
    alone = _seen_alone(config.intrinsics, board, config.rate) if config.intrinsics else None
    together = _seen_together(config.videos, board, config.rate) if config.videos else None
    if config.check is not None:
        _check(given, config, board, alone, together or [])
    if config.out is not None:
        _calibrate(config.out, config, board, alone, together)


def _print(path: Path, board: Board) -> None:
    if path.suffix != ".svg":
        raise ValueError(f"--print-board {path}: expected a name that ends in .svg")
    with replacing(path) as temporary:
        temporary.write_text(board_svg(board), "utf-8")
    say(f"Wrote {path}: print it at its true size, glue it to something flat, and measure a square")


def _calibrate(
    out: Path,
    config: CalibrateCommand,
    board: Board,
    alone: Sequence[BoardFilm] | None,
    films: Sequence[BoardFilm] | None,
) -> None:
    lenses = fit_lenses(alone or films or [], board, is_fisheye=config.fisheye)
    print_lenses(lenses)
    warnings = [warning for lens in lenses for warning in lens_warnings(lens, board)]
    picture = out.with_suffix(".png")
    if films is None:
        write_calibrations([lens.camera for lens in lenses], out)
        draw_lenses(picture, lenses, board)
        where = "only lenses: every camera stands at the origin"
    else:
        lenses = _in_order(lenses, films)
        films = _on_one_clock(lenses, films, board) if config.sync else films
        rig = calibrate_rig(lenses, films, board)
        rig, where = _placed(rig, films, board, config.floor_s)
        print_rig(rig)
        warnings += rig_warnings(rig)
        write_calibrations(rig.cameras, out)
        draw_rig(picture, rig)
    for warning in warnings:
        say(warning)
    say(f"Wrote {out} and {picture}: {where}")


def _placed(rig: RigFit, films: Sequence[BoardFilm], board: Board, floor_s: float | None) -> tuple[RigFit, str]:
    """The rig in its final world, and what that is."""
    if floor_s is None:
        return upright_rig(rig, board), "z is up by the cameras, and 0 at the lowest corner of the board that was seen"
    times_s = {view.moment: time for film in films for view, time in zip(film.views, film.times_s, strict=True)}
    nearest = min(times_s, key=lambda moment: abs(times_s[moment] - floor_s))
    if abs(times_s[nearest] - floor_s) > NEAR_S:
        raise ValueError(f"--floor-s {floor_s:g}: no camera saw the board then; the next is at {times_s[nearest]:.2f}")
    return floor_rig(rig, nearest, board), f"the floor is the board at {times_s[nearest]:.2f}, its middle the origin"


def _on_one_clock(lenses: Sequence[LensFit], films: Sequence[BoardFilm], board: Board) -> list[BoardFilm]:
    found = synchronise_boards([lens.camera for lens in lenses], films, board)
    for film, offset, confidence in zip(films, found.offsets_s, found.confidences, strict=True):
        say(f"{film.name}: {offset:+.3f} s make its clock the first one's (confidence {confidence:.2f})")
    return on_one_clock(films, found.offsets_s)


def _in_order(lenses: Sequence[LensFit], films: Sequence[BoardFilm]) -> list[LensFit]:
    """The lens of each film's camera, called like the film."""
    pairs = match_cameras(
        [Source(name=film.name, path=Path(film.name)) for film in films], [lens.camera for lens in lenses]
    )
    by_name = {lens.camera.name: lens for lens in lenses}
    found = {source.name: by_name[camera.name] for source, camera in pairs.pairs}
    if missing := [film.name for film in films if film.name not in found]:
        raise ValueError(f"{missing[0]}: has no lens; name its folder of --intrinsics like its video")
    return [found[film.name].called(film.name) for film in films]


def _seen_alone(folder: Path, board: Board, rate: float) -> list[BoardFilm]:
    return [film for source in find_sources(folder, rate_hz=1.0) for film in _seen([source], board, rate)]


def _seen_together(folder: Path, board: Board, rate: float) -> list[BoardFilm]:
    return _seen(find_sources(folder, rate_hz=1.0), board, rate)


def _seen(sources: Sequence[Source], board: Board, rate: float) -> list[BoardFilm]:
    with progress() as bar:
        name = sources[0].name if len(sources) == 1 else f"{len(sources)} cameras"
        task = bar.add_task(f"the board in {name}", total=None, detail="")
        return see_boards(
            sources,
            board,
            FilmConfig(rate_hz=rate),
            notify=lambda done, detail: bar.update(task, completed=done, detail=detail),
        )


def _check(
    calibrations: Sequence[Calibration],
    config: CalibrateCommand,
    board: Board,
    alone: Sequence[BoardFilm] | None,
    together: Sequence[BoardFilm],
) -> None:
    alone = together if alone is None else alone
    for film, calibration in _paired(alone, calibrations):
        for sentence in check_views(calibration, film.size, diverse_views(film, board), board).sentences:
            say(sentence)
    if len(together) > 1:
        pairs = _paired(together, calibrations)
        films = [film for film, _ in pairs]
        lenses = fit_lenses(alone, board, is_fisheye=config.fisheye)
        rig = calibrate_rig(_in_order(lenses, films), films, board)
        for sentence in check_rig([calibration for _, calibration in pairs], rig, board).sentences:
            say(sentence)


def _paired(films: Sequence[BoardFilm], calibrations: Sequence[Calibration]) -> list[tuple[BoardFilm, Calibration]]:
    """Films with the calibrations of their cameras, by their names."""
    match = match_cameras([Source(name=film.name, path=Path(film.name)) for film in films], calibrations)
    for warning in match.warnings:
        say(warning)
    by_name = {film.name: film for film in films}
    return [(by_name[source.name], calibration) for source, calibration in match.pairs]
