"""Training, evaluation and measurement of the models that `nst_adain` ships; run from a checkout, not installed."""
