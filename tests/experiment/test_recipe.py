"""Recipes are validated, and a slip of the pen is answered with the right word."""

import pytest

from trialtune.errors import UsageError
from trialtune.experiment.recipe import builtin_recipes, load_recipe


def test_built_in_recipes() -> None:
    assert list(builtin_recipes()) == ["clinical-trial-biobert", "quick", "registry"]
    assert load_recipe("quick").data == "sample"
    assert load_recipe("registry", ["data=x"]).base is not None
    hub = load_recipe("clinical-trial-biobert", ["data=x", "cut.ids=y"])
    assert (hub.encoder, hub.base) == ("domenicrosati/ClinicalTrialBioBert", None)


def test_settings_can_be_changed_from_the_command_line() -> None:
    recipe = load_recipe(
        "quick",
        ["adapt.lora.r=4", "adapt.lora.target_modules=[query, value]", "tasks.sex.seeds=[7]", "base=null"],
    )
    assert recipe.adapt.lora.r == 4
    assert recipe.adapt.lora.target_modules == ("query", "value")
    assert recipe.tasks["sex"].seeds == (7,)
    assert recipe.base is None


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("adapt.lora.rnk=4", r"adapt\.lora\.rnk: no such setting; did you mean .r."),
        ("adapt.lora.target_module=[query]", "did you mean 'target_modules'"),
        ("encodr=x", "did you mean 'encoder'"),
        ("tasks.sex.finetune.epoch=3", "did you mean 'epochs'"),
        ("base.train.stps=3", "did you mean 'steps'"),
        ("sample.studys=3", "did you mean 'studies'"),
        ("cut.nctid=NCT01234567", "did you mean 'nct_id'"),
        ("adapt.train.steps=many", r"adapt\.train\.steps: .*integer"),
        ("adapt.train.steps=0", r"adapt\.train\.steps: .*greater than or equal to 1"),
        ("tasks.sexx.seeds=[1]", "did you mean 'sex'"),
        ("adapt.train.steps", "key=value"),
        ("variants.base={}", "not 'base', 'adapt' or 'adapted'"),
        ("variants={../x: {}}", "letters, digits"),
        ("variants.qv.lora.rank=3", "did you mean 'r'|choose one of r"),
    ],
)
def test_slips_are_named_with_the_nearest_right_word(override: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_recipe("quick", [override])


def test_unknown_recipe_and_broken_file(tmp_path) -> None:
    with pytest.raises(UsageError, match="did you mean 'quick'"):
        load_recipe("quik")
    (tmp_path / "r.yaml").write_text("name: [unclosed")
    with pytest.raises(UsageError, match="not valid YAML"):
        load_recipe(str(tmp_path / "r.yaml"))
    (tmp_path / "list.yaml").write_text("- a")
    with pytest.raises(UsageError, match="mapping"):
        load_recipe(str(tmp_path / "list.yaml"))


def test_a_recipe_without_data_says_how_to_give_it() -> None:
    with pytest.raises(UsageError, match="--set data=PATH"):
        load_recipe("registry")


def test_a_recipe_file_of_ones_own(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(builtin_recipes()["quick"].read_text().replace("name: quick", "name: mine"))
    assert load_recipe(str(path)).name == "mine"
