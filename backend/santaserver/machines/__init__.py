"""The fleet: each Mac's report and the state of its rules."""
