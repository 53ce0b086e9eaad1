"""Coarse cues and the anchors made of them: numpy in, numpy out, no torch (paper, section 2.1)."""
