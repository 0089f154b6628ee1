"""Models' own examples, run: the real engine over records of its own, with stand-ins for connectors and virtual time.

Nothing of the application uses this: it is for the command `orderly test`.
"""
