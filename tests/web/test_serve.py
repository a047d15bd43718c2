"""Starting: on loopback, at a port that is free; what cannot be shown ends it with one sentence."""

import os
import socket

import pytest

from unfool.cli.main import run
from unfool.errors import InputError, MissingExtra
from unfool.web import serve as serving
from unfool.web.serve import listening, serve


def test_it_listens_on_loopback_alone_and_takes_another_port_where_none_is_asked_for(monkeypatch):
    with listening(0) as one:
        host, number = one.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(InputError, match=f"port {number} cannot be had"):
            listening(number)
        monkeypatch.setattr(serving, "USUAL", number)
        with listening(None) as other:
            assert other.getsockname()[1] != number
        with socket.create_connection((host, number), 2):
            pass  # who opens the address at once is not refused


@pytest.mark.parametrize("port", [-1, 70_000])
def test_what_is_no_port_is_refused(port):
    with pytest.raises(InputError):
        listening(port)


def test_a_model_that_there_is_not_ends_the_server_with_its_sentence(capsys, monkeypatch):
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"})
    code = run(["studio", "unfool:digitz", "--port", "0", "--no-browser"])
    out, err = capsys.readouterr()
    assert code == 2
    assert out.startswith("http://127.0.0.1:")
    assert err.startswith("error: ")
    assert "digitz" in err
    assert "Traceback" not in err
    assert os.environ["OMP_WAIT_POLICY"] == "passive"  # before torch is imported


def test_without_its_packages_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as missing:
        serve(lambda: None, 0, False, print)
    assert missing.value.hint == "pip install 'unfool[studio]'"
