#!/usr/bin/env bash
# With row weights, ppi_py.ppi_mean_ci takes the variance of weight x value instead of weight x (value - mean):
# the interval's width depends on how far values lie from 0, so that a yes/no label and its complement, which
# carry the same information, get intervals of different width. Expected: equal widths.
# Seen with ppi-python 0.2.3, Python 3.11:
#   without weights: 0.0345 and 0.0345
#   with weights: 0.0393 and 0.0631
# Fails when that changes. Needs PyPI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet ppi-python==0.2.3
cd "$work"
"$work/venv/bin/python" - <<'PY'
import numpy as np
from ppi_py import ppi_mean_ci

random = np.random.default_rng(0)
truth = (random.random(5000) < 0.1).astype(float)
guess = np.clip(0.7 * truth + 0.05 + random.normal(0, 0.05, 5000), 0, 1)
weights = np.where(np.arange(500) % 2, 0.4, 1.6)


def width(label, score, weighted):
    given = {"w": weights} if weighted else {}
    bounds = ppi_mean_ci(label[:500], score[:500], score[500:], alpha=0.05, lam=0.5, **given)
    low, high = (float(np.asarray(bound).squeeze()) for bound in bounds)
    return high - low


seen = {}
for name, weighted in (("without weights", False), ("with weights", True)):
    seen[name] = (width(truth, guess, weighted), width(1 - truth, 1 - guess, weighted))
    print(f"{name}: {seen[name][0]:.4f} and {seen[name][1]:.4f}")
assert np.isclose(*seen["without weights"]), "changed"
assert seen["with weights"][1] > 1.5 * seen["with weights"][0], "changed"
PY
