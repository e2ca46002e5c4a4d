"""The public page about a blocked program; it needs no account."""
