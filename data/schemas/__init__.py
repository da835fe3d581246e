"""One pandera YAML a table: the contract, the only copy."""
