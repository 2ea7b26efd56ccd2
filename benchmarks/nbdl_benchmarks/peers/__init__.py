"""One file a library: the same training step, written as its expert users write it for speed.

Each holds `build(work) -> Contender`. They run in processes of their own; nothing else imports them.
"""
