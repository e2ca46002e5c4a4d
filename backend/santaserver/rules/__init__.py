"""Rules: what may run. Every change is an entry of a log with one commit-ordered number."""
