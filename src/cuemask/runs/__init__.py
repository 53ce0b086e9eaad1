"""The library calls behind the commands, each a whole run with its record."""
