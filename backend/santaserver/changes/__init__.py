"""The log of policy changes, and taking one back."""
