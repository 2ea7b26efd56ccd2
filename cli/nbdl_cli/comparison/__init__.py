"""`nbdl compare-optimizers`: `plan` reads what is wanted, `flow` does it, `live` shows it under way, `sheets` and
`charts` show what came out, and `export` writes it to files.
"""
