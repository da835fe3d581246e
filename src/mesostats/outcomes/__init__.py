"""Outcomes: response with every denominator in sight, what missing assessments do to it, comparisons, change and time."""
