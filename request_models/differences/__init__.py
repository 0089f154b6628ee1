"""What changed between two versions of a model, in the practice's words: `difference`, and a module for each part."""
