"""SCIM 2.0 (RFC 7643, RFC 7644) at `/scim/v2`: a directory creates, changes and removes people and groups.

The protocol is pure functions over plain data: `attributes` and `schemas` say what a resource has, `values`
reads one, `filters` and `matching` find some, `patch` changes one, `projection` shows a part.
"""
