"""Where the handler of `configure()` is: it is in nobody's way, and nobody takes it off."""

from __future__ import annotations

import pytest

from tests.telemetry.otlp_receiver import OtlpReceiver
from tests.telemetry.programs import run


def test_levels_and_handlers_of_the_application_stay_as_they_are() -> None:
    script = """
import logging, sys, tracedrpc_otel
before = logging.root.level, list(logging.root.handlers), logging.getLogger("tracedrpc").level
configured = tracedrpc_otel.configure("x", endpoint=sys.argv[1])
assert (logging.root.level, logging.root.handlers, logging.getLogger("tracedrpc").level) == before
logging.getLogger("shop").info("below the level of the root logger")
logging.getLogger("shop").warning("seen")
assert configured.flush(10)
configured.shutdown()
logging.getLogger("shop").warning("after the end")
"""
    with OtlpReceiver() as receiver:
        ended = run(script, receiver.http_url)
        assert [log.body for log in receiver.logs] == ["seen"]
    # Shown because nobody has set up logging, as without us.
    assert ended.stderr.splitlines() == ["seen", "after the end"]


SETUPS = {
    "basicConfig": 'logging.basicConfig(format="own %(message)s")',
    "dictConfig": """
logging.config.dictConfig({
    "version": 1,
    "formatters": {"own": {"format": "own %(message)s"}},
    "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own"}},
    "root": {"handlers": ["own"]},
})
""",
    "oslo.log": """
from oslo_config import cfg
from oslo_log import log as oslo
conf = cfg.ConfigOpts()
oslo.register_options(conf)
conf([], project="x")
conf.set_override("use_stderr", True)
conf.set_override("logging_default_format_string", "own %(message)s")
conf.set_override("logging_context_format_string", "own %(message)s")
oslo.setup(conf, "x")
""",
}


@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_application_sets_up_logging_before_or_after(setup: str, when: str) -> None:
    ours = 'configured = tracedrpc_otel.configure("x", endpoint=sys.argv[1])'
    steps = [SETUPS[setup], ours] if when == "before" else [ours, SETUPS[setup]]
    script = "\n".join([
        "import logging, logging.config, sys, warnings, tracedrpc_otel",
        'warnings.simplefilter("default")',  # oslo's own
        *steps,
        'logging.getLogger("shop").warning("hello")',
    ])
    with OtlpReceiver() as receiver:
        ended = run(script, receiver.http_url)
        assert [log.body for log in receiver.logs] == ["hello"]
    assert [text for text in ended.stderr.splitlines() if "hello" in text] == ["own hello"]


def test_beside_opentelemetrys_own_handler_a_record_is_exported_once() -> None:
    script = """
import logging, sys, warnings, tracedrpc_otel
warnings.simplefilter("ignore")
from opentelemetry.sdk._logs import LoggingHandler
logging.root.addHandler(LoggingHandler())
configured = tracedrpc_otel.configure("x", endpoint=sys.argv[1])
logging.root.handlers[0]._logger_provider = configured.signals["logs"].provider
logging.getLogger("shop").warning("hello")
"""
    with OtlpReceiver() as receiver:
        run(script, receiver.http_url)
        assert [log.body for log in receiver.logs] == ["hello"]
