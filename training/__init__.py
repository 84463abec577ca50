"""Walk-forward training, evaluation, integrity checks and promotion."""
