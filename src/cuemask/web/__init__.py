"""Pages that people look at in a browser, served to this machine only unless told otherwise."""
