"""The paper's experiments: which runs make which row of which table, and the figures printed there."""
