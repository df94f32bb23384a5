"""Import and export of answers in the file formats of other annotation tools."""
