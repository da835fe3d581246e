"""One YAML a foreign export."""
