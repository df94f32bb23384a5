"""The classification tasks: labels with definitions, and where a task's text stands in a record."""
