"""Feast: entities, feature views, services, and the point-in-time reads that training and inference share."""
