"""Trained models, thresholds and streams of masks."""
