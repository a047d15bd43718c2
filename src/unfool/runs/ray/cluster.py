"""Starting Ray on this machine, or joining a cluster that is there."""

import importlib
import os
import socket
import subprocess
import sys
from typing import Any

from ...errors import EngineError, MissingExtra

try:
    ray: Any = importlib.import_module("ray")
except ModuleNotFoundError:
    raise MissingExtra("ray", "ray") from None

REACH = 5
"""Seconds to reach a cluster's port, and four times as many for it to answer."""


def checked(address: str, workers: int | None) -> None:
    """Raise where an address or a number of workers cannot be."""
    if workers is not None and workers < 1:
        raise EngineError(f"there must be a worker, not {workers}", "--workers 2")
    if address not in ("", "auto"):
        host_and_port(address)


def connect(address: str, workers: int | None) -> None:
    """Start Ray here, or join the cluster at an address; one that does not answer is one sentence, in seconds."""
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if ray.is_initialized():
        return
    if not address:
        _start(workers, quiet)
        return
    if address != "auto":
        _reach(address)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        raise EngineError(
            f"no Ray cluster can be joined at {address}: {line_of(error)}",
            "is it running (ray status), with the same versions of ray and Python? --engine ray starts one here",
        ) from None


def _start(workers: int | None, quiet: dict[str, Any]) -> None:
    """Ray on this machine, whose workers import what can be imported here; nothing is told to anybody."""
    cores = os.cpu_count() or 1
    paths = os.pathsep.join(dict.fromkeys(os.path.abspath(path) for path in sys.path))
    for_it = {"PYTHONPATH": paths, "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    before = {name: os.environ.get(name) for name in for_it}
    os.environ.update(for_it)
    try:
        ray.init(address="local", num_cpus=max(workers or 1, cores), include_dashboard=False, **quiet)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _reach(address: str) -> None:
    """Raise unless something at an address answers as a cluster does: Ray itself would ask for minutes."""
    host, port = host_and_port(address)
    hint = "ray status names it, or ray start --head starts one; --engine ray needs none"
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH).close()
    except (OSError, OverflowError) as error:
        raise EngineError(f"no Ray cluster can be reached at {address}: {line_of(error)}", hint) from None
    if address.startswith("ray://"):
        return
    ask = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=4 * REACH)
    except subprocess.TimeoutExpired:
        raise EngineError(f"what is at {address} does not answer as a Ray cluster does", hint) from None
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or ["no reason given"])[-1][:200]
        raise EngineError(f"no Ray cluster answers at {address}: {reason}", hint)


def host_and_port(address: str) -> tuple[str, str]:
    """The two parts of an address that names both."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise EngineError(
            f"{address!r} is no address of a Ray cluster", "HOST:6379, ray://HOST:10001 or auto"
        )
    return host, port


def line_of(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
