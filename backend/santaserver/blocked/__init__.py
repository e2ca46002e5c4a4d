"""What somebody may know whose program was blocked, without an account."""
