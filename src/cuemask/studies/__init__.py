"""Many videos on an existing engine: what a unit of work is, what does it, what its status is."""
