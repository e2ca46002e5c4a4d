"""The organization's own essentials: programs that no change of the policy may block by mistake."""
