"""Side effects: rates, comparisons, times, signals and exposures, with denominators from those who were treated."""
