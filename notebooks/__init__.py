"""The reports themselves."""
