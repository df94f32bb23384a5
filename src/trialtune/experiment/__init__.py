"""Recipes: an experiment described in a file, and run step by step."""
