"""A compiled plan as a picture: `graph` says what is in it, `mermaid` and `svg` draw it."""
