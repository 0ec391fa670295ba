"""Several processes behind one address: real ones, with real signals."""
