"""The fleet: what each Mac said about itself and how far its rules are."""
