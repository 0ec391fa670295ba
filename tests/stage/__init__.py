"""The stage on which the running gateway is shown: a scripted upstream on loopback, a client that sees every byte."""
