"""One file a library: the same training step, written as its expert users write it for speed.

Each holds `build(net, batch, data) -> Contender` (see `work.make`). They run in processes of their own; nothing else
imports them. Where a library has several ways, all were timed and the fastest is here.
"""
