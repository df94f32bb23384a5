"""What Windows lacks is not needed: modules and functions of POSIX alone, a locale that is UTF-8."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import trialtune

ROOT = Path(trialtune.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
# Python on Windows: these modules cannot be imported, these attributes are not there.
WITHOUT_POSIX = """
import importlib, os, pathlib, pkgutil, signal, socket, sys, time
import filelock  # locks by other means there
import asyncio, concurrent.futures.process, multiprocessing.popen_spawn_posix, subprocess, tempfile
LACKING = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "uvloop", "spwd", "crypt"}
for name in LACKING:
    sys.modules[name] = None
for module, names in {
    os: "chown chroot fork forkpty getegid geteuid getgid getgroups getloadavg getpgid getuid initgroups"
    " killpg lchown mkfifo mknod nice openpty posix_fadvise posix_spawn pread pwrite readv"
    " sched_getaffinity sched_setaffinity sched_yield sendfile setsid statvfs sysconf"
    " tcgetpgrp ttyname wait3 wait4 writev",
    signal: "SIGHUP SIGUSR1 SIGUSR2 SIGALRM SIGCHLD SIGPIPE SIGQUIT alarm setitimer pause sigwait"
    " pthread_sigmask pthread_kill",
    socket: "AF_UNIX SO_REUSEPORT socketpair",
    time: "tzset",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
"""


def without_posix(code: str, folder: Path, *arguments: str, first: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", first + WITHOUT_POSIX + code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},  # the locale of a Windows that speaks English
        check=False,
    )


def test_every_module_is_imported_without_posix(tmp_path) -> None:
    code = (
        "import trialtune\n"
        "for found in pkgutil.walk_packages(trialtune.__path__, 'trialtune.'):\n"
        "    if not found.name.endswith('__main__'):\n"
        "        importlib.import_module(found.name)\n"
        "from trialtune.experiment.environment import machine\n"
        "print(len([name for name in sys.modules if name.startswith('trialtune.')]), machine().memory_gib)\n"
    )
    # On Linux these want what Linux has.
    libraries = "import accelerate, peft, torch, transformers.modeling_utils, transformers.trainer\n"
    done = without_posix(code, tmp_path, first=libraries)
    assert done.returncode == 0, done.stderr
    modules, memory = done.stdout.split()
    assert int(modules) > len(FILES) * 0.8 and float(memory) > 0.1


def test_registry_and_labels_without_posix(tmp_path) -> None:
    trials = [
        {"nct_id": "NCT00000001", "why_stopped": "slow accrual → closed", "brief_title": "Żelazo"},
        {"nct_id": "NCT00000002", "why_stopped": "", "brief_title": "Zinc"},
        {"nct_id": "NCT00000003", "why_stopped": "Недостаточное финансирование", "brief_title": "Copper"},
    ]
    (tmp_path / "trials.jsonl").write_text("\n".join(map(json.dumps, trials)))
    commands = [
        "registry import trials.jsonl --out snapshot.parquet",
        "apply stop-reasons snapshot.parquet --out labelled",
        "apply stop-reasons snapshot.parquet --out labelled",  # replaces its output
        f"predict stop-reasons {trials[2]['why_stopped'].replace(' ', '_')} --json",
    ]
    code = (
        "from trialtune.cli import main\n"
        "for command in sys.argv[1:]:\n"
        "    sys.argv = ['trialtune', *command.split()]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as end:\n"
        "        assert not end.code, command\n"
    )
    base = "import sys\nsys.modules['torch'] = sys.modules['transformers'] = None\n"
    done = without_posix(code, tmp_path, *commands, first=base)
    assert done.returncode == 0, done.stderr
    assert "Недостаточное_финансирование" in done.stdout
    labelled = pl.read_parquet(tmp_path / "labelled" / "labels" / "*.parquet").sort("nct_id")
    assert labelled["labels"].is_null().to_list() == [False, True, False]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_texts_are_utf8_with_the_same_line_ends_everywhere(path) -> None:
    """A locale's encoding, or Windows' line ends, would change what a checksum is of."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        given = {keyword.arg for keyword in call.keywords}
        where = f"{path}:{call.lineno}"
        if call.func.attr == "read_text":
            assert "encoding" in given, where
        elif call.func.attr == "write_text":
            assert {"encoding", "newline"} <= given, f"{where}: use trialtune.files.write_text"
        elif call.func.attr == "open" and call.args and isinstance(call.args[0], ast.Constant):
            mode = call.args[0].value
            if isinstance(mode, str) and set(mode) <= set("rwax+t") and mode:
                wanted = {"encoding"} if mode == "r" else {"encoding", "newline"}
                assert wanted <= given, where
