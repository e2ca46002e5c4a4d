"""How this server is: for `/metrics`, and for the operators' page."""
