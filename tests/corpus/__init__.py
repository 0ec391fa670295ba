"""The proof: recorded vendor traffic through the running gateway, read independently before and after."""
