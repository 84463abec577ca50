"""Inference and the HTTP service."""
