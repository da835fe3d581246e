"""One YAML a vocabulary; a folder of files with the same names lies on top."""
