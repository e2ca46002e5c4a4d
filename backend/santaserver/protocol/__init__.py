"""Santa's messages, as JSON and protobuf, and how a body from a stranger is read. Knows no stage.

`messages` has their fields, `body` the limits and encodings.
"""
