"""Networks, frozen features, losses and the training loop (paper, sections 2.1 and 2.2)."""
