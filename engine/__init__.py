"""The one place that knows all the others: the command line and what it runs."""
