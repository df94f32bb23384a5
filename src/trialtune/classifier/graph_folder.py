"""Writes a classifier folder whose model is an ONNX graph."""

import shutil
from pathlib import Path

from onnx import ModelProto

from trialtune.classifier.folder import CONFIG_FILE, GRAPH_FILE
from trialtune.classifier.onnx_backend import seal
from trialtune.evaluation.decision import Decision
from trialtune.files import read_json, write_json
from trialtune.tasks.task import Task

_PROBLEM_TYPES = {
    "multi_label": "multi_label_classification",
    "multi_class": "single_label_classification",
}


def write_graph_folder(
    folder: Path, graph: ModelProto, source: Path, *, task: Task, decision: Decision
) -> None:
    """Write a classifier's graph, with the tokenizer and configuration of the folder `source`.

    `task.max_length` is the length of a window in tokens.
    """
    (folder / GRAPH_FILE).write_bytes(graph.SerializeToString())
    seal(folder / GRAPH_FILE)
    for file in source.glob("tokenizer*.json"):
        shutil.copyfile(file, folder / file.name)
    config = {key: value for key, value in read_json(source / CONFIG_FILE).items() if key != "architectures"}
    config["id2label"] = {str(place): label for place, label in enumerate(task.labels)}
    config["label2id"] = {label: place for place, label in enumerate(task.labels)}
    config["problem_type"] = _PROBLEM_TYPES[task.kind]
    write_json(folder / CONFIG_FILE, config)
    task.save(folder)
    decision.save(folder)
