"""Live updates for browsers, sent after the commit of a change."""
