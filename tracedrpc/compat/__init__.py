"""Lets programs written for oslo.messaging run on tracedrpc, unmodified.

`install()` makes `import oslo_messaging` give `tracedrpc.compat.oslo_messaging` in this process;
`python -m tracedrpc.compat PROGRAM` does it for a whole program. See docs/migration.md.
"""

from tracedrpc.compat._names import install, is_installed

__all__ = ["install", "is_installed"]
