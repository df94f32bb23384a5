"""The command line: parses, calls, prints. Results go to stdout, progress and messages to stderr."""

import io
import sys

from trialtune.cli import (  # noqa: F401 - they register commands
    annotate,
    annotations,
    apply,
    audit,
    classifiers,
    classify,
    crosswalks,
    estimate,
    experiment,
    export,
    inspect,
    pretrain,
    push,
    registry,
    serve,
    shrink,
    sync,
    train,
)
from trialtune.cli.app import app
from trialtune.cli.failures import explain
from trialtune.cli.overwriting import guard

guard(app)


def main() -> None:
    """Entry point: run a command; turn errors into one message and an exit code."""
    _use_utf8()
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        app()
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        message, code = explain(error)
        print(message, file=sys.stderr)
        sys.exit(code)


def _use_utf8() -> None:
    """Files and pipes are UTF-8, whatever the system's locale; a terminal shows what it can."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream.isatty():
            stream.reconfigure(errors="replace")
        else:
            stream.reconfigure(encoding="utf-8")


__all__ = ["app", "main"]
