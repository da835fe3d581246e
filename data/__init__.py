"""The contracts of mesostats as data: table schemas, vocabularies and mappings."""
