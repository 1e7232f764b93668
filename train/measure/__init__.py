"""How good, how fast and how steady the models are: one file for each thing that is measured."""
