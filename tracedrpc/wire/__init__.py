"""The wire format, pure: values to bytes and back, no I/O, no threads."""
