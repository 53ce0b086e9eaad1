"""What people look at: contact sheets and loss curves."""
