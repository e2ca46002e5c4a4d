"""Invariants of the policy log."""

UNEXPLAINED = """
select seq from (
  select opened_seq as seq from rule_version union select closed_seq from rule_version
  union select opened_seq from setting_version union select closed_seq from setting_version
  union select opened_seq from tag_version union select closed_seq from tag_version
  union select joined_seq from tag_member union select left_seq from tag_member
  union select seq from tag_order_version) used
where seq > 0 except select seq from policy_change
"""
"""Numbers that something was written under, and of which nobody can say whose change they are."""
