"""The `nbdl` command."""
