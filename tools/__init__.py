"""``avatar VERB ...``: the command line. Each verb is a module here: a config and ``run(config)``."""

import logging
import sys
from importlib import import_module
from typing import Final, get_type_hints

import tyro
from rich.table import Table

import avatar

from .console import console, errors, errors_in_a_line, log_to

VERBS: Final = {
    "prepare": "make a capture of raw synchronised videos and their calibration; goes on where it was stopped",
    "calibrate": "calibrate cameras, or check a calibration, with films of a ChArUco board or checkerboard",
    "fit": "make an avatar from a capture; takes up again what was stopped",
    "meta-learn": "make a prior from dense captures, with which one to four cameras are enough",
    "sweep": "make and measure avatars of many captures, here or on many machines; one table at the end",
    "evaluate": "measure an avatar on pictures it has not seen, and write its report",
    "render": "film an avatar from new views and in new poses",
    "view": "look at avatars in the browser, move them, follow a running fit",
    "export": "write an avatar for other programs: Gaussians, rigged or plain meshes, films",
    "convert": "write a capture in another layout, with another body, or a part of it",
    "bench": "measure the speed of the parts on this machine",
    "assets": "fetch or bring what avatar may not ship: weights of LPIPS, models of BlazePose, SMPL bodies",
}
EXAMPLE: Final = "avatar fit hybrid --capture data/samples/dancer --run runs/dancer --budget-seconds 60"


def main() -> None:
    """Run the command in ``sys.argv``; ends in SystemExit unless all went well.

    What a user can put right ends in one line and exit code 2; with AVATAR_DEBUG set, in a traceback.
    """
    arguments = sys.argv[1:]
    match arguments:
        case ["--version"]:
            console.print(avatar.__version__, highlight=False)
        case [verb, *rest] if verb in VERBS:
            _run(verb, rest)
        case ["-h" | "--help"] | []:
            _print_help()
            sys.exit(0 if arguments else 2)
        case _:
            errors.print(
                f"avatar: no command {arguments[0]!r}; there are {', '.join(VERBS)}", highlight=False, soft_wrap=True
            )
            sys.exit(2)


def _run(verb: str, arguments: list[str]) -> None:
    log_to(logging.getLogger("avatar"))
    with errors_in_a_line():
        run = import_module(f".{verb.replace('-', '_')}", __package__).run
        run(tyro.cli(get_type_hints(run)["config"], prog=f"avatar {verb}", args=arguments))


def _print_help() -> None:
    table = Table(box=None, show_header=False, padding=(0, 2))
    for verb, purpose in VERBS.items():
        table.add_row(f"[bold]{verb}[/]", purpose)
    console.print("From a few synchronised, calibrated cameras to a person you can re-render and animate.\n")
    console.print("Usage: avatar VERB ...     `avatar VERB --help` explains a verb.\n", highlight=False)
    console.print(table)
    console.print(f"\nTry:   {EXAMPLE}", highlight=False, soft_wrap=True)
