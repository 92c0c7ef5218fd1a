"""Hosts that an organisation names: public ones are called, everything inside is not."""

from __future__ import annotations

import pytest

from flowledger.outgoing import HostRefused, may_call, resolve_public


class TestAddresses:
    @pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"])
    def test_public_ones_may_be_called(self, address):
        assert may_call(address)

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1%eth0",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "not an address",
        ],
    )
    def test_inner_ones_may_not(self, address):
        assert not may_call(address)

    def test_the_operator_may_allow_a_network(self, settings):
        settings.OUTGOING_ALLOWED_NETWORKS = ["10.0.5.0/24", "fd00::/8"]
        assert may_call("10.0.5.9")
        assert may_call("fd00::1")
        assert not may_call("10.0.6.9")


class TestNames:
    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]", "::1"])
    def test_every_spelling_of_this_machine_is_refused(self, host):
        with pytest.raises(HostRefused, match=r"not on the public Internet|no host"):
            resolve_public(host, 993)

    @pytest.mark.parametrize("host", ["", " ", "a b", "a\nb", "x" * 300, "..", "no-such-host.invalid", "é\x00"])
    def test_what_is_no_host_is_refused(self, host):
        with pytest.raises(HostRefused) as refusal:
            resolve_public(host, 993)
        assert list(refusal.value.details["fields"]) == ["host"]

    @pytest.mark.parametrize("port", [0, -1, 65_536])
    def test_a_port_is_one(self, port):
        with pytest.raises(HostRefused):
            resolve_public("93.184.216.34", port)

    def test_the_addresses_that_were_checked_are_answered(self, settings):
        assert resolve_public("93.184.216.34", 993) == ["93.184.216.34"]
        settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
        assert resolve_public("127.0.0.1", 143) == ["127.0.0.1"]
