"""Labels over HTTP, and a web page."""
