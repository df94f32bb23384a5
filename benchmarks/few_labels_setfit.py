"""SetFit on the rows of few_labels.py, in a separate environment (setfit 1.2 wants transformers 4).

python few_labels_setfit.py ROWS.json OUT.json: ROWS has `encoder` (a folder), `train` and `test` (lists of
[text, labels]), `labels`, `iterations` (contrastive pairs a row, two ways) and `kind`; OUT gets the labels
said of each test row, the seconds of training and the peak memory.
"""

import json
import resource
import sys
import time
from pathlib import Path

from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments


def main() -> None:
    rows = json.loads(Path(sys.argv[1]).read_text())
    names, several = rows["labels"], rows["kind"] == "multi_label"
    texts = [text for text, _ in rows["train"]]
    if several:
        targets = [[int(name in labels) for name in names] for _, labels in rows["train"]]
        strategy = {"multi_target_strategy": "one-vs-rest"}
        # scikit-learn's one-vs-rest warns of, and answers by a constant for, labels without a row.
    else:
        targets = [names.index(labels[0]) for _, labels in rows["train"]]
        strategy = {}
    model = SetFitModel.from_pretrained(rows["encoder"], **strategy)
    arguments = TrainingArguments(
        batch_size=16, num_epochs=1, num_iterations=rows["iterations"], report_to="none", seed=1,
        save_strategy="no",
    )  # fmt: skip
    data = Dataset.from_dict({"text": texts, "label": targets})
    start = time.perf_counter()
    Trainer(model=model, args=arguments, train_dataset=data).train()
    seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    said = model.predict([text for text, _ in rows["test"]], as_numpy=True)
    chosen = [
        [name for name, holds in zip(names, row, strict=True) if holds] if several else [names[int(row)]]
        for row in said
    ]
    Path(sys.argv[2]).write_text(json.dumps({"said": chosen, "seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main()
