"""Coverage and width of intervals of `trialtune estimate`, accuracy of forecasts, run time.

Truth: the hand labels of 25,167 stopped trials (stop_reasons_silver.parquet). Predictions: each FILE of
`trialtune crossfit`, or of a teacher, that answered rows it had not seen, by wording; and the labels of 2021.
For each of --draws draws of gold rows every share is estimated, of all trials and of years and phases with at
least 1,000 trials; `holds` counts how often an interval covers the true share. Widths are over those of
Wilson's interval of as many hand labels only, drawn uniformly.

python benchmarks/estimate.py --data ../shared/data --predictions minilm=out_of_fold.parquet ... [--json FILE]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table
from turns import print_machine

from trialtune.classifier.prediction import text_hash
from trialtune.dataset.label_arrays import label_lists, multi_hot
from trialtune.estimation.forecast import Forecast
from trialtune.estimation.intervals import score_interval
from trialtune.estimation.population import Cells
from trialtune.estimation.ppi import power_tuned
from trialtune.estimation.sampling import Design, assumed_probabilities
from trialtune.estimation.shares import NONE, PPI, STRATIFIED, estimate_shares
from trialtune.estimation.tally import Counted, Gold, Tally
from trialtune.experiment.environment import machine, versions
from trialtune.files import write_json
from trialtune.tasks.catalog import load_task
from trialtune.tasks.text import wording_hash

TASK = load_task("stop-reasons")
LABELS = list(TASK.labels)
TAIL = 0.025
FEWEST = 1000  # trials of a group
REGISTRY = 593_000
GROUPS = ("year", "phase", "status", "sponsor_class", "country")


@dataclass(frozen=True)
class Predicted:
    """One classifier's predictions for the trials [rows, labels]."""

    name: str
    labels: np.ndarray
    stated: np.ndarray | None

    @property
    def probabilities(self) -> np.ndarray:
        return assumed_probabilities(self.labels) if self.stated is None else self.stated


def read_predictions(name: str, file: Path, trials: pl.DataFrame, data: Path) -> Predicted:
    """Probabilities by wording, of a file with `text`, or with the `text_hash` of the training rows."""
    table = pl.read_parquet(file)
    if "text" not in table.columns:
        texts = pl.read_parquet(data / "stop_reasons_train.parquet", columns=["text"])["text"]
        spelled = pl.DataFrame({"text": texts, "text_hash": [text_hash(text) for text in texts]})
        table = spelled.join(table, on="text_hash")
    answers = table["probabilities"].struct.unnest().select(LABELS).to_numpy()
    of_wording = dict(zip(map(wording_hash, table["text"]), answers, strict=True))
    found = [of_wording.get(wording_hash(text)) for text in trials["text"]]
    if lacking := sum(answer is None for answer in found):
        raise SystemExit(f"{file}: {lacking:,} of {len(found):,} texts have no prediction")
    stated = np.stack(found).astype(np.float32)
    return Predicted(name, stated > 0.5, stated)


def groups_of(trials: pl.DataFrame) -> Cells:
    """All trials, then years and phases with enough of them."""
    year = trials["completion_date"].str.extract(r"((?:19|20)\d\d)").fill_null("")
    columns = [pl.Series(["all"] * len(trials)), year, trials["phase"].fill_null("")]
    names, rows, cells = [], [], []
    for column in columns:
        for value, count in sorted(column.value_counts().rows()):
            if count >= FEWEST and value:
                there = np.flatnonzero((column == value).to_numpy())
                rows.append(there)
                cells.append(np.full(len(there), len(names)))
                names.append(value)
    return Cells(tuple(names), np.concatenate(rows), np.concatenate(cells))


@dataclass(frozen=True)
class World:
    """Trials with their true labels, groups, and a classifier's answers."""

    holds: np.ndarray
    cells: Cells
    predicted: Predicted

    @cached_property
    def tally(self) -> Tally:
        rows = len(self.holds)
        nobody = np.zeros(rows, dtype=bool)
        nothing = np.zeros_like(self.holds)
        answers = self.predicted
        counted = Counted(answers.labels, answers.stated, ~nobody, nobody, nothing, np.arange(0))
        return counted.tally(self.cells)

    @cached_property
    def truth(self) -> np.ndarray:
        groups = len(self.cells.names)
        rows = [self.cells.rows[self.cells.cells == place] for place in range(groups)]
        return np.stack([self.holds[places].mean(axis=0) for places in rows])

    def draws(self, rows: int, design: Design, count: int) -> Iterator[tuple[Tally, Gold]]:
        """Draws of gold rows, each with its seed."""
        for seed in range(count):
            places, chances = design.draw(rows, seed)
            stated = self.predicted.stated
            gold = Gold(
                self.holds[places],
                self.predicted.labels[places],
                None if stated is None else stated[places],
                1 / chances,
            )
            yield replace(self.tally, sampled=self.cells.members(places)), gold

    def design(self, name: str) -> Design:
        return (
            Design.by_doubt(self.predicted.probabilities)
            if name == "stratified"
            else Design.uniform(len(self.holds))
        )


def coverage(world: World, rows: int, design: str, draws: int, by_hand: np.ndarray | None) -> dict[str, Any]:
    """Coverage and width of the intervals of each group and class."""
    truth = world.truth
    kinds = ("auto", "ppi, normal")
    held = {kind: np.zeros(truth.shape) for kind in kinds}
    widths: dict[str, list[np.ndarray]] = {kind: [] for kind in (*kinds, "hand")}
    methods = np.zeros(8, dtype=int)
    given = np.zeros(truth.shape)
    for tally, gold in world.draws(rows, world.design(design), draws):
        found = estimate_shares(tally, gold)
        none = found.methods == NONE
        given += ~none
        methods += np.bincount(found.methods[0], minlength=8)
        bounds = {"auto": found.bounds(TAIL)}
        if gold.stated is not None:
            powered = power_tuned(tally, gold)
            half = 1.959963984540054 * powered.error
            bounds["ppi, normal"] = (powered.share - half, powered.share + half)
        for kind, (low, high) in bounds.items():
            held[kind] += ~none & (low <= truth + 1e-12) & (truth <= high + 1e-12)
            widths[kind].append(np.where(none, np.nan, high - low))
        if by_hand is None:
            n = tally.sampled.sum(axis=1, keepdims=True).astype(float)
            share = tally.sampled.astype(float) @ gold.holds / np.maximum(n, 1)
            low, high = score_interval(share, np.broadcast_to(n, share.shape), tail=TAIL)
            widths["hand"].append(np.where(none, np.nan, high - low))
    hand = np.nanmedian(widths["hand"], axis=0) if by_hand is None else by_hand
    result: dict[str, Any] = {
        "predictions": world.predicted.name,
        "rows": rows,
        "design": design,
        "draws": draws,
    }
    often = given[1:] > draws / 5  # groups that nearly always are too small are uninformative
    for kind in kinds:
        if not widths[kind]:
            continue
        rate = held[kind] / np.maximum(given, 1)
        ratio = np.nanmedian(widths[kind], axis=0) / hand
        result[kind] = {
            "least": float(rate[0].min()),
            "mean": float(rate[0].mean()),
            "width": float(np.median(ratio[0])),
            "widest": float(ratio[0].max()),
            "groups_least": float(rate[1:][often].min()),
            "groups_below": int((rate[1:][often] < 0.94).sum()),
            "groups_asked": int(often.sum()),
            "groups_mean": float(rate[1:][often].mean()),
            "groups_width": float(np.median(ratio[1:][often])),
            "groups_widest": float(ratio[1:][often].max()),
            "by_class": dict(zip(LABELS, rate[0].round(4).tolist(), strict=True)),
            "width_by_class": dict(zip(LABELS, ratio[0].round(3).tolist(), strict=True)),
        }
    result["stratified"], result["ppi"] = int(methods[STRATIFIED]), int(methods[PPI])
    result["by_hand"] = hand
    return result


def forecast(world: World, design_name: str, draws: int) -> list[dict[str, Any]]:
    """For each class: the labels forecast for a precision, and the precision reached with them.

    The precision is the one that 500 hand labels only would have. Widths fall as the root of the labels,
    which makes a width that is off into labels that are.
    """
    rows = len(world.holds)
    everything = Cells(("all",), np.arange(rows), np.zeros(rows, dtype=np.int64))
    one = replace(world, cells=everything)
    design = one.design(design_name)
    stated = one.predicted.stated
    assert stated is not None
    plan = Forecast(one.predicted.labels, stated, design, everything, one.tally, True)
    share = np.clip(stated.mean(axis=0), 1e-9, 1)
    low, high = score_interval(share, np.full(len(share), 500.0), tail=TAIL)
    lines = []
    for place, label in enumerate(LABELS):
        wanted = float(high[place] - low[place]) / 2
        chosen = np.zeros((1, len(LABELS)), dtype=bool)
        chosen[0, place] = True
        needed = int(plan.rows_for(wanted, TAIL, chosen)[0, place])
        halves = []
        for tally, gold in one.draws(needed, design, draws):
            lower, upper = estimate_shares(tally, gold).bounds(TAIL)
            halves.append((upper[0, place] - lower[0, place]) / 2)
        got = float(np.mean(halves))
        off = (got / wanted) ** 2 - 1
        lines.append({"label": label, "wanted": wanted, "needed": needed, "got": got, "off": off})
    return lines


def timed(folder: Path) -> dict[str, float]:
    """Seconds and memory of `estimate run` over a registry, in a separate process."""
    rng = np.random.default_rng(0)
    holds = rng.random((REGISTRY, len(LABELS))) < 0.075
    wrong = rng.random(holds.shape) < 0.01
    ids = [f"NCT{number:08d}" for number in range(REGISTRY)]
    stated = np.clip(np.where(holds ^ wrong, 0.9, 0.02) + rng.normal(0, 0.01, holds.shape), 0, 1)
    labelled = pl.DataFrame(
        {
            "nct_id": ids,
            "text": ["a reason"] * REGISTRY,
            "labels": label_lists(holds ^ wrong, LABELS),
            "probabilities": pl.DataFrame(
                dict(zip(LABELS, stated.astype(np.float32).T, strict=True))
            ).to_struct(),
            "classifier": ["0" * 16] * REGISTRY,
        },
        schema_overrides={"labels": pl.List(pl.String)},
    )
    labelled.write_parquet(folder / "labelled.parquet")
    years = rng.integers(1999, 2027, REGISTRY)
    pl.DataFrame(
        {
            "nct_id": ids,
            "year": years.astype(str),
            "phase": rng.choice(["PHASE1", "PHASE2", "PHASE3", "PHASE4", "NA", "not given"], REGISTRY),
            "status": rng.choice(["TERMINATED", "WITHDRAWN", "SUSPENDED"], REGISTRY),
            "sponsor_class": rng.choice(["INDUSTRY", "OTHER", "NIH", "FED", "NETWORK"], REGISTRY),
            "country": [f"country {number}" for number in rng.integers(0, 120, REGISTRY)],
        }
    ).write_parquet(folder / "trials.parquet")
    drawn = rng.choice(REGISTRY, 1000, replace=False)
    pl.DataFrame(
        {
            "nct_id": [ids[place] for place in drawn],
            "labels": ["|".join(row) or "-" for row in label_lists(holds[drawn], LABELS)],
            "drawing_probability": [1000 / REGISTRY] * 1000,
        }
    ).write_csv(folder / "gold.csv")
    script = (
        "import sys, time; from turns import peak_mb; started = time.perf_counter();"
        " from trialtune.cli import app; app(sys.argv[1:], standalone_mode=False);"
        " print(time.perf_counter() - started, peak_mb(), file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, "estimate", "run", str(folder / "labelled.parquet")]
    command += ["--gold", str(folder / "gold.csv"), "--trials", str(folder / "trials.parquet")]
    command += [
        "--by",
        ",".join(GROUPS),
        "--compare",
        "sponsor_class",
        "--out",
        str(folder / "out"),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    assert len(json.loads(done.stdout)["shares"]) > 2000
    seconds, megabytes = map(float, done.stderr.split()[-2:])
    return {"seconds": seconds, "peak_mb": megabytes}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--predictions", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--rows", default="300,500,1000")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cost = timed(Path(folder))
    trials = pl.read_parquet(chosen.data / "stop_reasons_silver.parquet").filter(
        pl.col("labels").is_not_null()
    )
    holds, cells = multi_hot(trials["labels"], LABELS), groups_of(trials)
    weak = multi_hot([[one] if one in LABELS else [] for one in trials["weak_label"]], LABELS)
    given = [text.partition("=") for text in chosen.predictions]
    predictions = [read_predictions(name, Path(file), trials, chosen.data) for name, _, file in given]
    predictions.append(Predicted("labels of 2021", weak, None))
    lines: list[dict[str, Any]] = []
    forecasts: dict[str, list[dict[str, Any]]] = {}
    for predicted in predictions:
        world = World(holds, cells, predicted)
        for rows in map(int, chosen.rows.split(",")):
            by_hand = None
            for design in ("uniform", "stratified"):
                lines.append(coverage(world, rows, design, chosen.draws, by_hand))
                by_hand = lines[-1].pop("by_hand")
        if predicted.stated is not None:
            forecasts[predicted.name] = forecast(world, "stratified", max(chosen.draws // 10, 20))
    console = Console(width=170)
    print_machine(console, 0)
    console.print(coverage_table(lines, "auto"), coverage_table(lines, "ppi, normal"))
    for name, found in forecasts.items():
        console.print(forecast_table(name, found))
    console.print(
        f"{REGISTRY:,} trials by {len(GROUPS)} groups: {cost['seconds']:.1f} s, {cost['peak_mb']:,.0f} MB"
    )
    if chosen.json:
        write_json(
            chosen.json,
            {
                "machine": machine().model_dump(),
                "versions": versions(),
                "coverage": lines,
                "forecast": forecasts,
                "cost": cost,
            },
        )


def coverage_table(lines: list[dict[str, Any]], kind: str) -> Table:
    """Coverage and width of intervals, one row per setting."""
    title = (
        "trialtune estimate --method auto"
        if kind == "auto"
        else "PPI++ with normal intervals, for comparison"
    )
    table = Table(box=box.MARKDOWN, title=title)
    for name in (
        "predictions",
        "gold rows",
        "design",
        "holds: least class",
        "mean",
        "width: median",
        "widest",
    ):
        table.add_column(name, justify="left" if name in ("predictions", "design") else "right")
    for name in ("groups: least", "below .94", "mean", "width: median", "widest"):
        table.add_column(name, justify="right")
    for line in lines:
        if kind not in line:
            continue
        found = line[kind]
        table.add_row(
            line["predictions"],
            f"{line['rows']:,}",
            line["design"],
            *(f"{found[name]:.3f}" for name in ("least", "mean")),
            *(f"{found[name]:.2f}" for name in ("width", "widest")),
            f"{found['groups_least']:.3f}",
            f"{found['groups_below']} of {found['groups_asked']}",
            f"{found['groups_mean']:.3f}",
            *(f"{found[name]:.2f}" for name in ("groups_width", "groups_widest")),
        )
    return table


def forecast_table(name: str, lines: list[dict[str, Any]]) -> Table:
    """The forecast precision, and the actual one."""
    table = Table(box=box.MARKDOWN, title=f"forecast of {name}")
    for column in ("label", "half width wanted", "hand labels forecast", "half width got", "labels off by"):
        table.add_column(column, justify="left" if column == "label" else "right")
    for line in lines:
        table.add_row(
            line["label"],
            f"{line['wanted']:.4f}",
            f"{line['needed']:,}",
            f"{line['got']:.4f}",
            f"{line['off']:+.0%}",
        )
    return table


if __name__ == "__main__":
    main()
