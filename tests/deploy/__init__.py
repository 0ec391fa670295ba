"""What lies in deploy/, used as it is meant to be: by real programs, with the gateway running as a process of its own."""
