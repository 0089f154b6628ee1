"""Models certified: run in the sandbox and killed at every boundary, `orderly certify`.

Each run is a real process of its own that is really killed (SIGKILL), and gone on with by another, as the keeper would
have it. What came of it is read at the targets. Nothing of the application uses this.
"""
