"""Functions for other projects' pipelines, backed by trialtune's classifiers."""
