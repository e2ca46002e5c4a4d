"""Tags: named sets of machines, each with a layer of rules and settings."""
