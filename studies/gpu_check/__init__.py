"""What a machine with one GPU is asked first: tests, providers, and the protocol beside other instruments."""
