"""Crosswalks give every label exactly one target, and say what is wrong with a file that does not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from trialtune.errors import UsageError
from trialtune.tasks.catalog import load_task
from trialtune.tasks.crosswalk import load_crosswalk, shipped_crosswalks

SHIPPED = list(shipped_crosswalks())
LABELS = load_task("stop-reasons").labels


def test_the_three_schemes_are_there() -> None:
    assert SHIPPED == ["fhir", "open_targets", "scientific"]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_label_has_one_target_and_says_why(name) -> None:
    crosswalk = load_crosswalk(name)
    assert crosswalk.name == name and crosswalk.task == "stop-reasons"
    assert list(crosswalk.labels) == list(LABELS)  # a file with a key twice is refused
    assert all(len(line.source) > 10 for line in crosswalk.labels.values())
    assert all(meaning.endswith(".") for meaning in crosswalk.classes.values())
    assert crosswalk.source.startswith("http")
    reached = [label for target in crosswalk.classes for label in crosswalk.labels_of(target)]
    assert sorted(reached) == sorted(LABELS)


def test_open_targets_is_what_is_published() -> None:
    """data/classes.csv of opentargets/stopReasons; halving as in opentargets/pipeline."""
    crosswalk = load_crosswalk("open_targets")
    assert {label: line.target for label, line in crosswalk.labels.items() if line.target != "Neutral"} == {
        "Negative": "Negative",
        "Safety_Sideeffects": "Safety",
        "Success": "Success",
        "Business_Administrative": "Suspicious",
        "Invalid_Reason": "Invalid",
    }
    assert crosswalk.factor is not None and crosswalk.factor.value == 0.5
    assert set(crosswalk.factor.labels) == {"Negative", "Safety_Sideeffects"}


def test_the_documentation_lists_what_the_files_say() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "crosswalks.md").read_text(encoding="utf-8")
    shipped = [load_crosswalk(name) for name in SHIPPED]
    rows = [f"| {label} | {' | '.join(one.labels[label].target for one in shipped)} |" for label in LABELS]
    assert f"| label | {' | '.join(f'`{name}`' for name in SHIPPED)} |" in page
    assert "\n".join(rows) in page


def test_the_example_of_the_documentation_is_one(tmp_path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "crosswalks.md").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    crosswalk = load_crosswalk(tmp_path / "mine.yaml")
    assert crosswalk.columns[2:] == ("mine_weight", "mine_weight_probability")


MINE = {
    "name": "mine",
    "version": "1",
    "task": "sex",
    "description": "who may join",
    "source": "ours",
    "classes": {"open": "everybody", "closed": "some"},
    "labels": {
        "ALL": {"target": "open", "source": "all"},
        "FEMALE": {"target": "closed", "source": "some"},
        "MALE": {"target": "closed", "source": "some"},
    },
}


@pytest.fixture
def declare(tmp_path: Path) -> Callable[[dict], Path]:
    def write(values: dict) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        return path

    return write


def changed(**values) -> dict:
    return {**MINE, **values}


def lines(**values) -> dict:
    return {"labels": {**MINE["labels"], **values}}


def test_a_file_of_ones_own(declare) -> None:
    crosswalk = load_crosswalk(declare(MINE))
    assert crosswalk.labels_of("closed") == ("FEMALE", "MALE")
    assert crosswalk.columns == ("mine", "mine_probabilities")
    assert crosswalk.fingerprint != load_crosswalk(declare(changed(description="else"))).fingerprint


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (lines(MAN={"target": "open", "source": "x"}), r"labels\.MAN: the task sex has no such label"),
        ({"labels": {"ALL": MINE["labels"]["ALL"]}}, "FEMALE, MALE of the task sex have no target"),
        (lines(MALE={"target": "closd", "source": "x"}), "did you mean 'closed'"),
        (lines(MALE={"target": "closed"}), r"labels\.MALE\.source: is missing"),
        (lines(MALE={"target": ["open", "closed"], "source": "x"}), r"labels\.MALE\.target"),
        ({"version": 1.0}, "version: YAML reads this as 1.0; put it in quotes"),
        ({"klasses": {}}, "klasses: no such setting; did you mean 'classes'"),
        ({"name": "My Scheme"}, "name"),
        ({"name": "fhir"}, "a shipped crosswalk is named 'fhir'"),
        ({"classes": {"open": "", "Open": "", "closed": ""}}, "are too similar"),
        ({"classes": {"open": "", "closed": "", "a|b": ""}}, r"no \|"),
        (
            {"factor": {"name": "f", "labels": ["MEN"], "value": 2, "source": "x"}},
            "'MEN' is not a label; did you mean 'MALE'",
        ),
        (
            {"factor": {"name": "probabilities", "labels": ["ALL"], "value": 2, "source": "x"}},
            "name of another column",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said(declare, values, said) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        load_crosswalk(declare(changed(**values)))
    assert "mine.yaml" in str(caught.value)


def test_a_label_with_two_targets_is_refused(declare) -> None:
    path = declare(MINE)
    path.write_text(path.read_text() + "  ALL: {target: closed, source: again}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="the key 'ALL' is repeated"):
        load_crosswalk(path)
    own = path.with_name("task.yaml")  # what a task declares is read by the same rules
    own.write_text("name: size\nkind: multi_class\nlabels: {big: x, small: y, big: z}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="the key 'big' is repeated"):
        load_task(own)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("open_target", "did you mean 'open_targets'"),
        ("nowhere.yaml", "nowhere.yaml: no such file"),
    ],
)
def test_a_wrong_name_gets_the_nearest(name, said) -> None:
    with pytest.raises(UsageError, match=said):
        load_crosswalk(name)
