"""cuemask: instrument masks from surgical video, with nothing labelled."""

__version__ = "0.1.0"
