"""The overlay of the CDISC pilot study."""
