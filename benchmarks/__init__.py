"""Speed and quality, measured side by side; see the module texts."""
