"""The whole chain from outside: real binaries, PostgreSQL, a browser and a simulated Mac."""
