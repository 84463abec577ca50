"""Prefect flows and the command line: the edges where settings are read and parts are wired."""
