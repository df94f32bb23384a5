"""Labelling by hand: the file of answers, which text comes next, agreement, what more labels would bring."""
