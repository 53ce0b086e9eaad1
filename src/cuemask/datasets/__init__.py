"""Published data sets as they are published: where the files lie, and what their codes mean. Nothing is converted."""
