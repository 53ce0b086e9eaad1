"""What a run found, in the formats of other programs: one module a format."""
