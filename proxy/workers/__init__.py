"""Several processes that serve the same addresses, and their parent, which serves nobody but the operator.

A worker is forked, not started anew: it has the configuration that is in force in its memory, whatever has become of the files since; it
is there within milliseconds, shares the parent's memory until it writes to it, and inherits sockets without a name for them.
The parent never starts a thread, and forks between two turns of its event loop, which a worker leaves behind unread.
"""

from proxy.workers.process import Ends
from proxy.workers.supervisor import Supervisor, worker_count
from proxy.workers.worker import Inheritance, work

__all__ = ["Ends", "Inheritance", "Supervisor", "work", "worker_count"]
