"""Reads settings from an oslo.config `ConfigOpts`. Needs the extra `oslo`; imported when there is one.

Options are registered on the object that is passed in, never on `oslo_config.cfg.CONF`. They are those
of oslo.messaging, in its groups, and our own in the group [tracedrpc].
"""

from __future__ import annotations

import contextlib
import copy
from typing import Any, Final

from oslo_config import cfg

from tracedrpc import _settings
from tracedrpc._stock_options import DEFAULT, GROUPS, StockOption
from tracedrpc.exceptions import InvalidOption


class _Shared(cfg.Opt):
    """An option that is the same as another library's of that name and type, whatever its help says.

    oslo.config compares each registration with the one before it, in whichever order they come, and
    refuses one that is not equal; Python asks the more derived class of the two, which is this.
    """

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, cfg.Opt):
            return NotImplemented
        return self.dest == other.dest and type(self.type) is type(other.type)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = cfg.Opt.__hash__


class _Bool(_Shared, cfg.BoolOpt):
    pass


class _Int(_Shared, cfg.IntOpt):
    pass


class _Float(_Shared, cfg.FloatOpt):
    pass


class _Str(_Shared, cfg.StrOpt):
    pass


_CLASSES: Final[dict[type, Any]] = {bool: _Bool, int: _Int, float: _Float, str: _Str}


def _opt(option: StockOption) -> cfg.Opt:
    limits = {"min": option.low, "max": option.high, "choices": option.choices or None}
    opt: cfg.Opt = _CLASSES[option.kind](
        option.name, default=option.default, help=option.help, secret=option.secret,
        deprecated_name=option.former or None, sample_default=option.sample or None,
        deprecated_for_removal=bool(option.removal), deprecated_reason=option.removal or None,
        **{name: limit for name, limit in limits.items() if limit is not None},
    )
    return opt


_OPTS: Final = [(group, [_opt(option) for option in options]) for group, options in GROUPS]


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    """Return every option by group, for `oslo-config-generator --namespace tracedrpc`."""
    return copy.deepcopy(_OPTS)


def register(conf: cfg.ConfigOpts) -> None:
    """Register every option on a configuration object; what is registered already stays as it is."""
    stock = {option.name: option.default for option in DEFAULT}
    exchange = _settings.application_defaults.get("control_exchange", stock["control_exchange"])
    cfg.set_defaults(_OPTS[0][1], control_exchange=exchange)
    for group, opts in _OPTS:
        for opt in opts:
            with contextlib.suppress(cfg.DuplicateOptError):
                conf.register_opt(opt, group=group)


def chosen(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """Return the options that somebody has chosen; a default that nobody has changed is not among them.

    Raises:
        InvalidOption: a value in the configuration is not of its type or out of range.
    """
    found = {}
    for group, options in GROUPS:
        for option in options:
            value = _value(conf, group, option.name)
            if value is None or (value == option.default and _is_untouched(conf, group, option.name)):
                continue
            found[option.name] = value
    return found


def _value(conf: cfg.ConfigOpts, group: str | None, name: str) -> Any:
    try:
        return conf[name] if group is None else conf[group][name]
    except (cfg.Error, ValueError) as error:
        raise InvalidOption(name, f"[{group or 'DEFAULT'}] {name}: {error}") from error


def _is_untouched(conf: cfg.ConfigOpts, group: str | None, name: str) -> bool:
    location = conf.get_location(name, group)
    return location is None or location.location is cfg.Locations.opt_default
