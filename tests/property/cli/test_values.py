"""A value is parsed from what it prints."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from treecast.base.addresses import Endpoint, HostPort
from treecast.base.errors import OperatorError
from treecast.cli import values

_PORTS = st.integers(1, 65_535)
_UNICAST = st.ip_addresses().filter(lambda address: not address.is_multicast and str(address) != "255.255.255.255")
_HOST_NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9-]{0,20}){0,4}", fullmatch=True)


@given(st.builds(Endpoint, _UNICAST, _PORTS))
def test_an_endpoint_is_parsed_from_what_it_prints(endpoint: Endpoint) -> None:
    assert values.listen_endpoints([str(endpoint)]) == (endpoint,)


@given(st.builds(HostPort, _HOST_NAMES | st.ip_addresses().map(str), _PORTS))
def test_a_peer_is_parsed_from_what_it_prints(peer: HostPort) -> None:
    assert values.peers([str(peer)]) == (peer,)


@given(st.text(max_size=40))
def test_any_text_is_a_value_or_one_sentence(text: str) -> None:
    for parse in (values.ipv4_address, values.ipv6_address, values.interface_name):
        try:
            parse(text)
        except OperatorError as error:
            assert "\n" not in str(error)
    for parse_all in (values.listen_endpoints, values.peers):
        try:
            parse_all([text])
        except OperatorError as error:
            assert "\n" not in str(error)
