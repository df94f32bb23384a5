"""The classification tasks: labels, texts, labelled examples and leak-free splits."""

from trialtune.tasks.examples import Labelled, load_examples
from trialtune.tasks.task import TASKS, Task, get_task

__all__ = ["TASKS", "Labelled", "Task", "get_task", "load_examples"]
