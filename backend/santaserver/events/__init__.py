"""Events: executions and file accesses that Macs reported."""
