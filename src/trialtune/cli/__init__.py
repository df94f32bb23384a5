"""The command line: parses, calls, prints. Results go to stdout, progress and messages to stderr."""

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


def main() -> None:
    """Entry point: run a command; turn errors into one message and an exit code."""
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


__all__ = ["app", "main"]
