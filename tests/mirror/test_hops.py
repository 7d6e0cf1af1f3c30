"""Where redirects may lead, what addresses look like in messages, and where wares are on mirrors."""

from __future__ import annotations

import pytest

from warpforge.errors import WarpforgeError
from warpforge.mirror.hops import Refused, check_network, make_hop, network_of
from warpforge.mirror.policy import Access
from warpforge.mirror.protocol import ca_path, ca_paths, connect, shown
from warpforge.mirror.s3 import find_place
from warpforge.model.atoms import WarehouseAddr, WareId


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("http://a/b/c", "d", "http://a/b/d"),
        ("http://a/b", "/d?e#f", "http://a/d?e"),
        ("http://a/b", "https://c/d", "https://c/d"),
        ("https://a/b", "//c/d", "https://c/d"),
        ("http://a/b", "http://user:pass@c/d", "http://c/d"),
    ],
)
def test_hops(url: str, location: str, target: str) -> None:
    assert make_hop(url, location) == target


@pytest.mark.parametrize(
    "location",
    ["http://c/d", "file:///etc/passwd", "data:,x", "javascript:1", "http:///x", "http://[::1", "ht tp://x", "//a:b/"],
)
def test_no_hops(location: str) -> None:
    with pytest.raises(Refused):
        make_hop("https://a/b", location)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("0.0.0.0", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        ("10.0.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fc00::1", "private"),
        ("224.0.0.1", "private"),
        ("8.8.8.8", "public"),
        ("2606:4700::1111", "public"),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network


def test_who_may_lead_where() -> None:
    for home in ("public", "private", "link-local", "loopback"):
        check_network(home, "8.8.8.8")
        for address in ("127.0.0.1", "169.254.169.254", "10.0.0.1"):
            if network_of(address) == home:
                check_network(home, address)
            else:
                with pytest.raises(Refused):
                    check_network(home, address)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("https://a/b", "https://a/b"),
        ("ca+https://me:secret@a:1/b", "ca+https://a:1/b"),
        ("https://a/b?X-Signature=secret", "https://a/b?..."),
        ("https://me:se/cret@a/b", "https://me:se/cret@a/b"),  # a "/" ends the host: there is no user in it
    ],
)
def test_addresses_in_messages(address: str, text: str) -> None:
    assert shown(address) == text


def test_places_of_many() -> None:
    assert ca_path(WareId("tar", "abcdefghi")) == "abc/def/abcdefghi"
    assert ca_paths(WareId("tar", "abcdefghi")) == ["abc/def/abcdefghi"]
    assert ca_paths(WareId("ztar", "abcdefghi")) == ["ztar/abc/def/abcdefghi", "abc/def/abcdefghi"]


@pytest.mark.parametrize("address", ["ftp://a/b", "nothing", "ca+mock://x", "http://", "http://a:b/c", "file://x/y"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(WarpforgeError) as caught:
        connect(WarehouseAddr(address))
    assert caught.value.reason == "policy"


@pytest.mark.parametrize(
    ("host", "proxied"), [("a.example", False), ("example", False), ("b.org", True), ("notexample", True)]
)
def test_hosts_without_proxy(host: str, proxied: bool) -> None:
    access = Access(proxies={"http": "http://p:1"}, no_proxy=(".example",))
    assert bool(access.proxy_for("http", host)) is proxied
    assert not access.proxy_for("https", host)


def test_places_in_s3() -> None:
    address = WarehouseAddr("ca+s3://bucket/a/b/")
    assert find_place(address, {}, Access()) == ("", "us-east-1", "bucket", "a/b")
    assert find_place(address, {}, Access(s3_endpoint="http://e", s3_region="r")) == ("http://e", "r", "bucket", "a/b")
    config = {"endpoint": "e", "region": "eu", "bucket": "other", "path": "/p"}
    web = WarehouseAddr("ca+https://bucket.example/x")
    assert find_place(web, config, Access(s3_endpoint="http://e")) == ("https://e", "eu", "other", "p")
