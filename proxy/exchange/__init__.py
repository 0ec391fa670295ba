"""One client request and its answer, with its clock and its usage: from the first byte read to the last byte written."""
