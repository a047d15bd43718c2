"""The command line: one file a verb, imported when the verb is used."""

import sys
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import App, CycloptsError

from ..errors import UnfoolError, suggestion

VERBS = {
    "audit": "How easily a model is fooled, and what it looks at: one report.",
    "attack": "Look for changed pictures that a model gets wrong.",
    "explain": "Show what a model looks at in pictures.",
    "methods": "What there is: every method, its options and its paper.",
    "run": "Run a recipe from a file.",
    "report": "Write the report of a finished audit anew.",
    "bench": "Time the methods, beside other libraries where they are installed.",
}

app = App(
    name="unfool",
    help="Find what fools a vision network, see what it looks at, fix it.",
    help_format="plaintext",
)
for verb, purpose in VERBS.items():
    app.command(f"unfool.cli.{verb}:{verb}", name=verb, help=purpose)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command; 0 is success, 1 a gate that failed, 2 something the user can put right, 130 Ctrl-C."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    try:
        return int(app(arguments, exit_on_error=False, print_error=False, result_action="return_value") or 0)
    except CycloptsError as error:
        verb = arguments[0] if arguments else ""
        hint = f"unfool {verb} --help" if verb in VERBS else suggestion(verb, VERBS)
        return _say(" ".join(str(error).split()), hint)
    except UnfoolError as error:
        return _say(str(error), error.hint)
    except KeyboardInterrupt:
        _say("stopped; what was done is kept", "the same command goes on from there")
        return 130
    except MemoryError as error:
        return _say(
            f"out of memory: {error}",
            "smaller pictures (--view), fewer at a time (--limit), another --device",
        )
    except OSError as error:
        return _say(
            f"{error.strerror or error}: {error.filename or ''}", "is the disk full, or the folder not yours?"
        )


def _say(message: str, hint: str = "") -> int:
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return 2
