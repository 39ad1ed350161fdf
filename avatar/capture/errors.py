"""What can go wrong with a capture, said in one line that names the file."""

from pathlib import Path

MAX_MESSAGE = 1000

# What helps where there are pictures alone.
FIT_BODY = "fit one to the pictures: avatar prepare --videos FOLDER --calibration FILE --out NEW"


class CaptureError(ValueError):
    """A file of a capture is broken. The message is one line: the file, what is wrong, what to do."""

    def __init__(self, file: Path | str, problem: str) -> None:
        self.file = Path(file)
        super().__init__(" ".join(f"{file}: {problem}".split())[:MAX_MESSAGE])


class MissingFileError(CaptureError, FileNotFoundError):
    """A file of a capture is not there."""
