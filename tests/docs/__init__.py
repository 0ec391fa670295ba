"""Pages of docs/ that are made from what the code does. `python -m tests.docs` writes them anew."""
