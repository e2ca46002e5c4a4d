"""Santa's messages, as JSON and protobuf, and how untrusted bodies are read. Independent of stages.

`messages` has their fields, `body` the limits and encodings.
"""
