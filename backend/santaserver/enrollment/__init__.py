"""Who may sync: enrolment secrets, what they allow, and the profiles that carry them."""
