"""Visits against the plan: adherence, gaps, sessions received, and the switch from one phase to the next."""
