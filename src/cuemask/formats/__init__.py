"""Masks in the files of other programs and back, one module a format, without losing a pixel."""
