"""mesostats."""
