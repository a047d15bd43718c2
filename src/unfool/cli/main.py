"""The command line: one file a verb, imported when the verb is used."""

import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from ..errors import Unfinished, UnfoolError, UnknownName

VERBS = {
    "audit": "How easily a model is fooled, and what it looks at: one report.",
    "attack": "Look for changed pictures that a model gets wrong.",
    "explain": "Show what a model looks at in pictures.",
    "inspect": "Look closely at one question, such as transfer, norms, shortcuts or one decision.",
    "train": "Teach a classifier, so that it resists small changes.",
    "maximise": "Make the images that classes or units of a model like best.",
    "methods": "What there is: every method, its options and its paper.",
    "run": "Run a recipe from a file.",
    "studio": "A page to look at pictures as a model sees them, and to touch them.",
    "lecture": "A lecture on all of it, every figure made as it is shown; with exercises.",
    "report": "Write the report of a finished audit anew.",
    "bench": "Time the methods, beside other libraries where they are installed.",
}

PURPOSE = "Find what fools a vision network, see what it looks at, fix it."


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command; 0 is success, 1 a gate that failed, 2 something the user can put right, 130 Ctrl-C."""
    warnings.formatwarning = lambda message, *_where, **_line: f"warning: {message}\n"
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "--version"):  # in a blink: nothing else is imported
        print(_overview() if arguments != ["--version"] else version("unfool"))
        return 0
    try:
        if arguments[0] not in VERBS:
            raise UnknownName("command", arguments[0], VERBS)
        return _called(arguments)
    except UnfoolError as error:
        return _say(str(error), error.hint)
    except Unfinished:  # as has been said
        return 0
    except KeyboardInterrupt:
        _say("stopped; what was done is kept", "the same command goes on from there")
        return 130
    except (MemoryError, RuntimeError) as error:
        from ..memory import out_of_memory

        if not out_of_memory(error):
            raise
        return _say(
            f"out of memory: {next(iter(str(error).splitlines()), 'no more is known')}",
            "smaller pictures (--view), fewer at a time (--limit), another --device",
        )
    except BrokenPipeError:  # whoever read what we print has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _say(
            f"{error.strerror or error}: {error.filename or ''}", "is the disk full, or the folder not yours?"
        )


def _called(arguments: list[str]) -> int:
    from cyclopts import App, CycloptsError, UnusedCliTokensError

    app = App(name="unfool", help=PURPOSE, help_format="plaintext", suppress_keyboard_interrupt=False)
    for verb, purpose in VERBS.items():
        app.command(f"unfool.cli.{verb}:{verb}", name=verb, help=purpose)
    try:
        return int(app(arguments, exit_on_error=False, print_error=False, result_action="return_value") or 0)
    except UnusedCliTokensError as error:
        left = ", ".join(map(repr, error.unused_tokens or ()))
        return _say(f"{left} is more than the command takes", _help(arguments))
    except CycloptsError as error:
        return _say(" ".join(str(error).split()), _help(arguments))


def _help(arguments: Sequence[str]) -> str:
    words = arguments[:2] if arguments[0] == "inspect" and not arguments[1].startswith("-") else arguments[:1]
    return f"unfool {' '.join(words)} --help"


def _overview() -> str:
    verbs = "\n".join(f"  {verb:<9} {purpose}" for verb, purpose in VERBS.items())
    usage = "Usage: unfool COMMAND\n\n" + PURPOSE
    return (
        f"{usage}\n\nCommands:\n{verbs}\n\nunfool COMMAND --help says more; unfool --version, which this is."
    )


def _say(message: str, hint: str = "") -> int:
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return 2
