"""The catalog of programs: every file that was seen, who signed it, and how often it was blocked."""
