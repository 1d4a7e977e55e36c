"""Latent action models: two frames become a few discrete codes."""
