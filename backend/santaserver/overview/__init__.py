"""The numbers of the console's first page."""
