"""`oslo_messaging.exceptions`."""

from tracedrpc.exceptions import InvalidOption as ConfigurationError
from tracedrpc.exceptions import (
    InvalidTarget,
    MessageDeliveryFailure,
    MessageUndeliverable,
    MessagingException,
    MessagingTimeout,
)

__all__ = [
    "ConfigurationError",
    "InvalidTarget",
    "MessageDeliveryFailure",
    "MessageUndeliverable",
    "MessagingException",
    "MessagingTimeout",
]
