"""Write what the docs take from the code: the help of every command, and every method with its options.

``python docs/build.py`` writes; ``python docs/build.py --check`` says what is out of date.
"""

import os
import subprocess
import sys
from inspect import cleandoc
from pathlib import Path

from unfool.cli.main import VERBS
from unfool.cli.methods import families
from unfool.spec import Option, catalogue, options

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/build.py from the code; do not edit. -->\n"


def commands() -> str:
    """Every command's help, as a terminal of 100 columns shows it."""
    pages = [f"{NOTE}\n# Commands\n"]
    pages += [f"## unfool {verb}\n\n```text\n{help_of(verb)}\n```\n" for verb in VERBS]
    return "\n".join(pages)


def help_of(verb: str) -> str:
    plain = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-m", "unfool", verb, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=plain,
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def methods() -> str:
    """Every method by family: what it is, its paper, its options."""
    pages = [
        f"{NOTE}\n# Methods\n\nEach is written as it is shown, in Python and on the command line alike.\n"
    ]
    for family, kind in families().items():
        pages.append(f"## {family.capitalize()}\n")
        pages += [section(cls) for cls in catalogue(kind).values()]
    return "\n".join(pages)


def section(cls: type) -> str:
    rows = "".join(row(option) for option in options(cls))
    table = f"\n| option | is | default | |\n|---|---|---|---|\n{rows}" if rows else ""
    return f"### {cls.__name__}\n\n{cleandoc(cls.__doc__ or '')}\n{table}"


def row(option: Option) -> str:
    kind = " or ".join(f"`{c!r}`" for c in option.choices) or getattr(
        option.type, "__name__", str(option.type)
    )
    default = "required" if option.required else f"`{option.default!r}`"
    text = " ".join(option.help.split())
    return f"| `{option.name}` | {kind} {option.bound or ''} | {default} | {text} |\n"


PAGES = {"commands.md": commands, "methods.md": methods}


def main() -> int:
    stale = [name for name, write in PAGES.items() if _differs(HERE / name, write())]
    for name in stale if "--check" in sys.argv else ():
        print(f"docs/{name} is out of date: make docs", file=sys.stderr)
    return int(bool(stale) and "--check" in sys.argv)


def _differs(page: Path, text: str) -> bool:
    if page.exists() and page.read_text() == text:
        return False
    if "--check" not in sys.argv:
        page.write_text(text)
    return True


if __name__ == "__main__":
    sys.exit(main())
