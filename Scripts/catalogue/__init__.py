"""What import-models.py is made of: lists that are read, prices that are compared, provider files that are written, a report."""
