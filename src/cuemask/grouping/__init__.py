"""From masks to instruments: which pixels are whose, the same number through a clip, parts. No torch."""
