"""The stages of the pipeline, one per file."""
