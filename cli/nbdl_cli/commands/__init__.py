"""The commands of `nbdl`, one module each."""
