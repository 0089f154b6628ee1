"""What an editor asks about a model that is being written: what may stand at the cursor, and what stands there.

Pure: a text, a place in it and a catalogue of actions give an answer. The text need not be YAML yet: it is read as it
is typed, by its indentation, so that half a model still completes.
"""
