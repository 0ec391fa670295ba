"""What clients do wrong, and what becomes of it."""
