"""Put an exported classifier into the package, with its checksums and its entry for `trialtune classifiers`.

python install.py EXPORTED --name stop-reasons --scores-of "stop_reasons_dev" --data-of "..."
"""

import argparse
import datetime
import shutil
from pathlib import Path

from trialtune.classifier.folder import TRAINING_FILE, ClassifierFolder
from trialtune.classifier.shipped import write_sums
from trialtune.files import read_json, write_json

PACKAGE = Path(__file__).parents[1] / "src" / "trialtune_models"
# The words are in tokenizer.json already; the other marks a folder that trialtune may replace.
LEFT_OUT = {"vocab.txt", ".trialtune"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("exported", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--scores-of", required=True, help="the held-out rows that `export` compared on")
    parser.add_argument("--data-of", required=True, help="what it was trained on, in words")
    parser.add_argument("--trained", default=datetime.date.today().isoformat())
    options = parser.parse_args()
    folder = PACKAGE / options.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(options.exported, folder, ignore=lambda _, names: LEFT_OUT & set(names))
    opened = ClassifierFolder.open(folder)
    rows = read_json(folder / TRAINING_FILE)["rows"]
    parity = read_json(folder / "export.json")["parity"]
    about = {
        "task": opened.task.name,
        "labels": len(opened.task.labels),
        "fingerprint": opened.fingerprint,
        "trained": options.trained,
        "training_data": options.data_of,
        "rows": rows,
        "scores": {"data": options.scores_of, "texts": parity["texts"], **parity["after"]},
    }
    write_json(folder / "about.json", about)
    write_sums(folder)
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    print(f"{folder}: {size:.1f} MB, {about['scores']}")


if __name__ == "__main__":
    main()
