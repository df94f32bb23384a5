"""`python -m trialtune` is `trialtune`."""

from trialtune.cli import main

main()
