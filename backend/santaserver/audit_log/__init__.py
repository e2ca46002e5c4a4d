"""Reading, exporting and verifying the audit log, and its checkpoints."""
