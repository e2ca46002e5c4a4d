"""Santa's sync protocol, version 1. One file per decision, each pure: preflight, delta, cursor, postflight.

`router` speaks HTTP, `service` puts the stages together, `repository` has the SQL. Nothing here
knows the REST interface.
"""
