"""`python -m tests.docs`: writes the pages anew."""

from tests.docs.page import PAGE, page

PAGE.write_text(page(), "utf-8")
