"""Reads rule files of other servers and tools: bytes in, rows of the native import out. Pure.

`reader.read` recognizes a file by its content and returns a `Report`. One module per format translates
entries into rules; `*_source` modules parse a syntax and know where everything is in the file. None of
it knows the database, the network or what is stored: the native import checks the rows like its own.
"""
