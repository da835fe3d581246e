"""The web page of the explorer: its style, its notebook and its Voilà template."""
