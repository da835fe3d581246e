"""Simulated clinics as data: one YAML a scenario."""
