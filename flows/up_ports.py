"""Are the ports free? If not: which, of which setting, and who has it."""

from __future__ import annotations

import errno
import socket
from collections import Counter
from collections.abc import Sequence

import psutil

from flows.up_programs import Program, setting_variable
from market.errors import ConfigError, ServiceError


def require_free_ports(programs: Sequence[Program]) -> None:
    """Refuse to start when any port is taken; all of them are named at once.

    Raises:
        ConfigError: Two settings name one port, or an address is none of this machine's.
        ServiceError: A port is in use.
    """
    wanted = [one for one in programs if one.address is not None]
    twice = [port for port, count in Counter(one.address[1] for one in wanted if one.address).items() if count > 1]
    if twice:
        settings = " and ".join(one.setting for one in wanted if one.address and one.address[1] == twice[0])
        raise ConfigError(f"{settings} are both {twice[0]}", remedy="give each a port of its own")
    taken = [told for one in wanted if (told := _taken(one))]
    if taken:
        variable = setting_variable(next(one.setting for one in wanted if _taken(one)))
        raise ServiceError(
            "; ".join(taken), remedy=f"stop what uses it, or choose another port: {variable}=NUMBER, or in configs/"
        )


def _taken(program: Program) -> str:
    """What stands in the way of a program's port; empty when it is free."""
    assert program.address is not None
    host, port = program.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} of {program.name} ({program.setting}) is in use{_by(port)}"
            if error.errno == errno.EACCES:
                return f"port {port} of {program.name} ({program.setting}) needs the rights of an administrator"
            raise ConfigError(
                f"{program.name} cannot listen on {host}: {error.strerror}", remedy="see docs/up.md"
            ) from error
    return ""


def _by(port: int) -> str:
    """Who listens, as far as this user may know."""
    try:
        found = psutil.net_connections(kind="tcp")
    except (psutil.AccessDenied, OSError):  # macOS shows other processes' sockets to administrators only
        return ""
    for connection in found:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            try:
                process = psutil.Process(connection.pid) if connection.pid else None
                return f" by {process.name()} (process {process.pid})" if process else " by a process of another user"
            except psutil.Error:
                return ""
    return ""
