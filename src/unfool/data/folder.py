"""A folder of pictures."""

import warnings
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ..errors import DataError
from ..views import View
from .base import Sample, Source
from .remembered import remembered

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm"}
MOST_PIXELS = 64_000_000
SMALLER = "make it smaller first"


class Folder(Source):
    """A folder of class folders, a folder of pictures without labels, or one picture."""

    path: str

    def ids(self) -> tuple[str, ...]:
        return _pictures(Path(self.path))

    def sample(self, id: str, view: View) -> Sample:
        return Sample(read_picture(_home(Path(self.path)) / id, view))

    def label(self, id: str) -> str | None:
        return id.split("/")[0] if "/" in id else None

    def label_names(self) -> tuple[str, ...]:
        names = tuple(sorted({id.split("/")[0] for id in self.ids() if "/" in id}))
        if all(name.isdecimal() for name in names):
            return ()  # the folders are called by the classes' numbers
        if len(names) == 1:
            raise DataError(
                f"{self.path} has one class folder, {names[0]}, and the model's class names are unknown",
                "--classes with the names, or give the folder of all class folders",
            )
        return names


def _home(path: Path) -> Path:
    return path.parent if path.is_file() else path


@remembered
def _pictures(path: Path) -> tuple[str, ...]:
    """Relative paths, sorted: of class folders where there are some, else of the folder itself."""
    if path.is_file():
        return (path.name,)
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    names = tuple(p.relative_to(path).as_posix() for p in found if not p.name.startswith("."))
    if not names:
        raise DataError(
            f"the folder {path} holds no pictures", "give a folder of class folders, or of pictures"
        )
    nested = tuple(name for name in names if "/" in name)
    return nested if nested and len(nested) >= len(names) / 2 else tuple(n for n in names if "/" not in n)


def read_picture(path: Path, view: View) -> Tensor:
    """One file as the model wants it: [C, H, W]."""
    with open_picture(path) as picture:
        return view(picture)


def open_picture(path: Path) -> Image.Image:
    """A decoded picture; one that is broken, missing or huge is one sentence."""
    try:
        with path.open("rb") as file:  # it is closed, whatever is found in it
            return decoded(file, str(path))
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path}: not a picture that can be read ({' '.join(str(error).split())})") from None


def decoded(file: IO[bytes], name: str, formats: tuple[str, ...] | None = None) -> Image.Image:
    """The picture in a file that calls itself ``name``, of one of some ``formats`` where only those will do."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(file, formats=formats)
            if picture.width * picture.height > MOST_PIXELS:
                size = f"{picture.width}x{picture.height}"
                raise DataError(f"{name} is {size}, more than {MOST_PIXELS:,} pixels", SMALLER)
            picture.load()
        return picture
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"{name} has more than {MOST_PIXELS:,} pixels", SMALLER) from None
    except UnidentifiedImageError:
        known = f"PNG, JPEG or another of {', '.join(formats)}" if formats else ""
        raise DataError(f"{name}: not a picture that can be read (of no known format)", known) from None
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{name}: not a picture that can be read ({' '.join(str(error).split())})") from None
