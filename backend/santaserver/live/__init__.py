"""Live updates for browsers: what happened, told after the commit that made it true."""
