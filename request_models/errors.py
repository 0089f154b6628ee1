"""The errors of reading, compiling and rendering models. Messages are built from typed fields; nothing here prints."""
