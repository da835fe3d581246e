"""Simulated clinics with a known truth."""

from mesostats.simulation.clinic import Simulation, simulate, simulate_tables
from mesostats.simulation.scenario import Scenario, load_scenario

__all__ = ["Scenario", "Simulation", "load_scenario", "simulate", "simulate_tables"]
