"""Who may sync: enrollment secrets, what they allow, and the profiles that carry them."""
