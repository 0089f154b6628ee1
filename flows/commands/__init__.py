"""The commands, one module each with its `app`; `flows.cli` imports them when they are called."""
