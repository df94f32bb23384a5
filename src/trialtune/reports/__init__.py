"""What a run found: tables, plots and one self-contained page."""
