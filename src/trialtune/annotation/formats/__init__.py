"""Answers from and for other labelling programs, in the files that these write and read."""
