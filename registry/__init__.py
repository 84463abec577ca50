"""What was trained and what may be used: MLflow runs, artifacts and the model registry."""
