"""Run the notebooks on real trials and save them with their outputs, which hold no trial's text.

python tools/run_notebooks.py --data ../shared/data
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
from nbclient import NotebookClient

from trialtune.files import atomic_file

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
_LONG = 24  # characters: a shorter text, such as "Lack of funding", does not identify a trial


def run_notebook(path: Path, texts: list[str]) -> None:
    """Run a notebook from top to bottom and save it; raises ValueError when it shows one of `texts`."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in notebook.cells:
        cell.metadata.clear()  # when each cell ran
        cell.get("outputs", [])[:] = [
            output for output in cell.get("outputs", []) if output.get("name") != "stderr"
        ]
    check_shown(path, notebook, texts)
    with atomic_file(path) as temporary:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def check_shown(path: Path, notebook: Any, texts: list[str]) -> None:
    """Raise ValueError when an output of the notebook at `path` holds one of `texts`."""
    shown = "\n".join(shown_texts(notebook))
    for text in texts:
        if len(text) >= _LONG and text in shown:
            raise ValueError(f"{path.name} prints the text of a trial ({text[:8]!r}...); remove it")


def shown_texts(notebook: Any) -> Iterator[str]:
    """Every text among a notebook's outputs."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            yield output.get("text", "")
            yield from (value for value in output.get("data", {}).values() if isinstance(value, str))


def trial_texts(folder: Path) -> list[str]:
    """The texts of a folder of real trials that a notebook might show."""
    texts: list[str] = []
    for path in sorted(folder.glob("*.parquet")):
        columns = {"text", "why_stopped", "brief_title", "official_title"} & set(pl.read_parquet_schema(path))
        for name in columns:
            texts += pl.read_parquet(path, columns=[name])[name].drop_nulls().unique().to_list()
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of real trials")
    options = parser.parse_args()
    os.environ["TRIALTUNE_DATA"] = str(options.data.resolve())
    os.environ["TRIALTUNE_LOG_SECONDS"] = "86400"  # no progress lines in the saved output
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        run_notebook(path, trial_texts(options.data))
        print(path)


if __name__ == "__main__":
    main()
