"""WHAT may be asked for: the language of request models, its compiler and checks. Pure: it reads files, no more.

`yaml_source` and `loading` read YAML into the documents of `schema`; `compiler` takes them through the stages loaded,
resolved, typed, planned, each of which can be looked at; `plan` is what comes out, and what a request pins.
Expressions: `expression_syntax` (what may be written), `inference` (its type), `evaluation` (its value).
`value_types` is the lattice that connectors translate their types into; `actions` is what they implement. `checks/`
has one idea a file, `catalogue/` the models shipped.
"""
