"""The mapping engine: specifications → functions. Knows no HTTP, no vendor, no file."""
