"""What is kept at a Prefect server, or waits for it."""
