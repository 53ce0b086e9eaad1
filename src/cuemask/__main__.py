"""`python -m cuemask`."""

from cuemask.cli import main

main()
