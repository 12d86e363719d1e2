"""How the programs of these tests obey: commands come in, a JSON object a line; so do answers go out."""

from __future__ import annotations

import json
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from opentelemetry import context

THREADS = 64
_lock = threading.Lock()


def say(**fields):
    """Print one line, whole."""
    line = json.dumps(fields, default=str) + "\n"
    with _lock:
        sys.stdout.write(line)
        sys.stdout.flush()


class Lines(logging.Handler):
    """Prints log records: text, and the dotted fields that JSON formatters would write."""

    def emit(self, record):
        fields = {key: value for key, value in vars(record).items() if "." in key or key.endswith("_id")}
        say(log=record.getMessage(), level=record.levelname, logger=record.name, fields=fields)


def tell_lines(level, *names):
    """Have the records of these loggers printed, the first one's from that level on."""
    for name in names:
        logging.getLogger(name).addHandler(Lines())
    logging.getLogger(names[0]).setLevel(level)


def run(agent):
    """Obey until the end: each command on a thread of its own, `here` in the main one."""
    say(ready=True)
    with ThreadPoolExecutor(THREADS) as threads:
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] == "quit":
                _obey(agent, command)
                return
            if command.pop("here", False):
                _obey(agent, command)
            else:
                threads.submit(_obey, agent, command)


def _obey(agent, command):
    """Run one command and print its end."""
    number, name = command.pop("id"), command.pop("do")
    try:
        say(id=number, result=getattr(agent, name)(**command))
    except KeyboardInterrupt:
        say(id=number, result={"interrupted": True})
    except Exception as error:  # noqa: BLE001 - the one who asked is told
        say(id=number, fault=repr(error))
    if context.get_current():
        say(left_current=str(context.get_current()), command=name)
