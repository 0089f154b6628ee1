"""Histories with planted defects, near misses and traps, written apart from what is to find them.

Of the program only the gates file (for the sizes of effects), the compiler and the format's file names are used.
"""
