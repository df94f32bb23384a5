"""The saved notebooks show results and no trial's text. That they run is tested by nbmake."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

spec = importlib.util.spec_from_file_location("run_notebooks", ROOT / "tools" / "run_notebooks.py")
assert spec and spec.loader
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_saved_outputs_are_whole_and_hold_numbers_and_plots(path: Path) -> None:
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {kind for cell in code for output in cell.outputs for kind in output.get("data", {})}
    assert {"text/markdown", "text/html", "image/svg+xml"} <= kinds
    assert {output.output_type for cell in code for output in cell.outputs} <= {
        "stream",
        "display_data",
        "execute_result",
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_needs_the_public_names_alone(path: Path) -> None:
    code = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")
    assert set(re.findall(r"(?:from|import) (trialtune[\w.]*)", code)) == {"trialtune"}


def test_no_saved_output_holds_the_text_of_a_trial(shared_data: Path) -> None:
    texts = tool.trial_texts(shared_data)
    assert len(texts) > 10_000
    for path in NOTEBOOKS:
        tool.check_shown(path, nbformat.read(path, as_version=4), texts)


def test_a_notebook_that_prints_a_trial_is_not_saved(tmp_path: Path) -> None:
    text = "secret of a sponsor that stopped its trial"
    path = tmp_path / "leak.ipynb"
    cell = nbformat.v4.new_code_cell(f"print({text[:10]!r} + {text[10:]!r})")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"leak\.ipynb prints the text of a trial"):
        tool.run_notebook(path, [text])
    assert path.read_bytes() == before
