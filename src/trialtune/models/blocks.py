"""Parses the position of a layer in an encoder from its name."""

import re

# "bert.encoder.layer.3.attention.self.query" -> "3", "attention.self.query". ALBERT's layers share the
# weights of a few groups, mostly of one.
BLOCK = re.compile(r"(?:^|\.)(?:layers?|albert_layer_groups)\.(\d+)\.(.+)$")
