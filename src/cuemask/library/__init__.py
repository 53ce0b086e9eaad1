"""What `import cuemask` gives: the calls behind the commands, with plain arguments, and what they return."""
