"""EFFECTS on the world: one module or package for each system; `registry` knows which actions there are.

Each maps its system's errors to the classes of `request_models.actions.ErrorClass`, and declares for each action what
repeating it means. `memory` records instead of acting; it is shipped for the tests of models.
"""
