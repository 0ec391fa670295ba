"""`python -m tests.docs`: writes the pages anew."""

from tests.docs import clients
from tests.docs import page as compatibility
from tests.faults import page as faults

compatibility.PAGE.write_text(compatibility.page(), "utf-8")
faults.PAGE.write_text(faults.page(), "utf-8")
clients.PAGE.write_text(clients.page(), "utf-8")
