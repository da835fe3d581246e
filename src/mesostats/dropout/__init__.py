"""Retention and dropout across the schedule: how many are kept, who stops, why, and how sure that is."""
