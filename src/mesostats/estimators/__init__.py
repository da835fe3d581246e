"""Estimators: counts in, estimates out; they know nothing of clinics."""
