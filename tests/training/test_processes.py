"""Two processes train as one does, and a run goes on with another number of them."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from trialtune.evaluation.mlm_result import MlmTraining, Scoring
from trialtune.stages.adapt import adapt
from trialtune.stages.settings import AdaptSettings
from trialtune.training.settings import TrainSettings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="torchrun needs libuv, which Windows' lacks")
STEPS = 60
SETTINGS = AdaptSettings(
    eval_blocks=10,
    train=TrainSettings(
        steps=STEPS,
        batch_size=5,  # which two processes cannot share evenly
        gradient_accumulation_steps=2,
        early_stopping_patience=9,
        learning_rate=1e-2,
        eval_steps=20,
        save_steps=10,
        precision="fp32",
    ),
)
# The same training, as `torchrun` starts it; a pause a step leaves time to kill it.
SCRIPT = """
import sys, time
from pathlib import Path
from trialtune.stages.adapt import adapt
from trialtune.stages.settings import AdaptSettings

corpus, encoder, out, settings, pause = sys.argv[1:]
adapt(
    Path(corpus), encoder, Path(out), settings=AdaptSettings.model_validate_json(settings),
    report=lambda now: time.sleep(float(pause)),
)
"""


@pytest.fixture(scope="module")
def start(corpus, tiny_encoder, tmp_path_factory):
    """Start the training in two processes."""
    script = tmp_path_factory.mktemp("script") / "train.py"
    script.write_text(SCRIPT)

    def begin(out: Path, pause: float = 0.0) -> subprocess.Popen:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        arguments = [str(corpus), tiny_encoder, str(out), SETTINGS.model_dump_json(), str(pause)]
        return subprocess.Popen(
            [*launcher, str(script), *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    return begin


@pytest.fixture(scope="module")
def alone(corpus, tiny_encoder, tmp_path_factory):
    """The folder and history of the same training in one process."""
    out = tmp_path_factory.mktemp("alone") / "adapter"
    return out, adapt(corpus, tiny_encoder, out, settings=SETTINGS).history


def losses(history: Sequence[Scoring]) -> list[float]:
    return [value for entry in history for value in (entry.loss, entry.train_loss) if value is not None]


def assert_equal(first: Path, second: Path) -> None:
    """The same adapter up to the order of sums: gradients are added up in two parts."""
    one, two = (load_file(folder / "adapter_model.safetensors") for folder in (first, second))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-3, atol=1e-4, msg=name)


def test_two_processes_give_the_same_curve(start, alone, tmp_path) -> None:
    out, history = alone
    process = start(tmp_path / "two")
    try:
        output, _ = process.communicate(timeout=120)
    finally:
        kill(process)
    assert process.returncode == 0, output.decode()
    metrics = MlmTraining.load(tmp_path / "two" / "metrics.json")
    assert losses(metrics.history) == pytest.approx(losses(history), rel=1e-4)
    assert_equal(tmp_path / "two", out)


def test_one_process_goes_on_where_two_were_killed(start, alone, corpus, tiny_encoder, tmp_path) -> None:
    out, history = alone
    process = start(tmp_path / "run", pause=0.1)
    try:
        wait_for(tmp_path / "run" / "checkpoints", "*/step-0000020", process)
    finally:
        kill(process)
    told = []
    resumed = adapt(corpus, tiny_encoder, tmp_path / "run", settings=SETTINGS, report=told.append)
    assert 20 < told[0].step < STEPS
    assert losses(resumed.history) == pytest.approx(losses(history), rel=1e-4)
    assert_equal(tmp_path / "run", out)


def kill(process: subprocess.Popen) -> None:
    """SIGKILL for the launcher and the workers, which have sessions of their own."""
    with suppress(psutil.NoSuchProcess):
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family)
    process.communicate()


def wait_for(folder: Path, pattern: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()[0].decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
