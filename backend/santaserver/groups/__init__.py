"""Groups of users: local ones, those that tokens tell of, and those of SCIM."""
