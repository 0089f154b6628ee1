"""What may be said of counts and times, and how surely. The only importer of numpy and scipy.

Every function is pure; what draws at random takes a seed, which the caller makes of the content it is about.
"""
