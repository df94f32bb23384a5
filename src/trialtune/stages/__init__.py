"""One file a stage of the pipeline: each puts the parts below it together."""
