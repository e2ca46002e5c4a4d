"""The policy kernel: what is in force for a Mac at a policy number, and how rules are written for clients.

It imports none of its users (rules, settings, tags, sync, explanations). `head` numbers changes,
`precedence` says which version wins, `rule_log` asks for them, `rule_sets` works out whole sets and
differences, `capabilities` knows what each client can read.
"""
