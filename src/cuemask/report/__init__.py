"""What people look at: contact sheets, loss curves and the page of a run."""
