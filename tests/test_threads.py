"""Threads that compute wait briefly: libgomp itself says what it was told when PyTorch loads it."""

import os
import re
import subprocess
import sys

import pytest

SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
IN_A_WORKER = """
import pydoc
from trialtune.workers import in_order
list(in_order(pydoc.locate, ["torch.__name__"] * 2, workers=2))
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="PyTorch brings libgomp on Linux alone")


def spins(code: str, **settings: str) -> list[str]:
    """What each libgomp loaded by `code`, or by a process that it starts, takes for its spin count."""
    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**plain, "OMP_DISPLAY_ENV": "VERBOSE", **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return re.findall(r"GOMP_SPINCOUNT = '(\d+|INFINITY)'", done.stderr)


@pytest.mark.parametrize(
    "code",
    [
        "import trialtune, torch",
        "from trialtune import finetune",
        "from trialtune.classifier.torch_backend import predictor_of",
        IN_A_WORKER,
        "import os, sys, trialtune; os.execl(sys.executable, sys.executable, '-c', 'import torch')",
    ],
)
def test_it_is_brief(code) -> None:
    assert set(spins(code)) == {"2000"}


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("GOMP_SPINCOUNT", "77", "77"),
        ("OMP_WAIT_POLICY", "active", "30000000000"),
        ("OMP_WAIT_POLICY", "passive", "0"),
    ],
)
def test_what_the_user_set_stays(setting, value, told) -> None:
    assert set(spins("import trialtune, torch", **{setting: value})) == {told}
