"""Santa's sync protocol, version 1. One file per decision, each pure: preflight, delta, cursor, postflight.

`router` handles HTTP, `service` combines the stages, `repository` has the SQL. Independent of the REST
interface.
"""
