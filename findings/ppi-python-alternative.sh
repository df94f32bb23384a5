#!/usr/bin/env bash
# ppi_py.ppi_mean_ci drops `alternative` when the power is tuned, which is its default (lam=None): a one-sided
# call returns the two-sided interval, without a word. With a power that is given it returns the one-sided one.
# Its alpha is 0.1 unless another is given, so that intervals are 90% ones. Expected: one-sided in both calls.
# Seen with ppi-python 0.2.3, Python 3.11:
#   power tuned: larger equals two-sided: True, upper bound finite: True
#   power given: larger equals two-sided: False, upper bound finite: False
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
truth = (random.random(5000) < 0.3).astype(float)
guess = np.clip(0.8 * truth + 0.1 + random.normal(0, 0.1, 5000), 0, 1)
gold = slice(0, 500)
seen = {}
for name, power in (("tuned", None), ("given", 0.9)):
    both, larger = (
        [float(np.asarray(bound).squeeze()) for bound in ppi_mean_ci(
            truth[gold], guess[gold], guess[500:], alpha=0.05, alternative=which, lam=power
        )]
        for which in ("two-sided", "larger")
    )
    seen[name] = (np.allclose(both, larger), bool(np.isfinite(larger[1])))
    print(f"power {name}: larger equals two-sided: {seen[name][0]}, upper bound finite: {seen[name][1]}")
assert seen == {"tuned": (True, True), "given": (False, False)}, "changed"
PY
