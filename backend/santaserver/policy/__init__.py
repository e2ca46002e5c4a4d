"""The policy kernel: what is in force for a Mac at a policy number, and how rules are written for clients.

It imports none of its users (rules, settings, tags, sync, explanations). `head` numbers changes, `precedence`
defines which version wins, `rule_log` queries versions, `rule_sets` computes whole sets and differences,
`preparation` makes large ones in parts that sets of layers share, `capabilities` lists what each client
supports.
"""
