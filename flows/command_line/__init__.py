"""What the command lines share: parameters, help, messages, signals, Prefect's server."""
