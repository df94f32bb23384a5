"""The classification tasks: labels with definitions, and the source of a task's text in a record."""
