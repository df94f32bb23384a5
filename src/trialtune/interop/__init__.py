"""Functions that other projects' pipelines call, answered by classifiers of this one."""
