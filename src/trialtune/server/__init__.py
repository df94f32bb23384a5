"""The labels over HTTP, and a page for people."""
