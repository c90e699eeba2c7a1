use std::net::IpAddr;

/// What is allowed as the URL of an Asterisk.
pub(super) const URL: &str = "http://host:port or https://host:port, with or without a path, \
                              without user, password, query or fragment";

/// What is allowed as the URL of a WebSocket.
pub(super) const WEBSOCKET_URL: &str = "ws://host:port/path or wss://host:port/path, with or without a query, \
     without user, password or fragment";

/// A host name or an IP address that a peer could send to. Brackets around IPv6 are taken off.
pub(super) fn host(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return (!address.is_unspecified()).then(|| bare.to_owned());
    }
    is_host_name(text).then(|| text.to_owned())
}

/// A host as [`host`] takes it, or one followed by a port, where IPv6 needs its brackets.
pub(super) fn host_and_optional_port(text: &str) -> Option<String> {
    if let Some(host) = host(text) {
        return Some(host);
    }
    let (name, port) = text.rsplit_once(':')?;
    let bare_ipv6 = name.contains(':') && !name.starts_with('[');
    let port_is_good = port.parse::<u16>().is_ok_and(|port| port > 0);
    (port_is_good && !bare_ipv6 && host(name).is_some()).then(|| text.to_owned())
}

/// The base URL of an Asterisk's HTTP server, without the last slash.
pub(super) fn url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path_is_good = path.bytes().all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~' | b'%')
    });
    (path_is_good && is_authority(authority)).then(|| text.trim_end_matches('/').to_owned())
}

/// Whether a WebSocket can be asked for at this URL.
pub(super) fn is_websocket_url(text: &str) -> bool {
    let rest = text.strip_prefix("ws://").or_else(|| text.strip_prefix("wss://"));
    let Some(rest) = rest else { return false };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let is_good = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
    target.bytes().all(is_good) && is_authority(authority)
}

/// A host, with or without a port, where IPv6 has its brackets.
fn is_authority(text: &str) -> bool {
    let bare_ipv6 = text.contains(':') && text.parse::<IpAddr>().is_ok();
    !bare_ipv6 && host_and_optional_port(text).is_some()
}

/// The host in a URL that [`url`] or [`is_websocket_url`] has taken.
pub(super) fn host_of_url(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    if let Some((address, _)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    authority.split(':').next().unwrap_or(authority)
}

/// Whether a host is this machine by its very name.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Host names as RFC 1123 section 2.1 has them; an underscore too, which containers' names have.
fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // Only digits and dots is an address with a slip in it.
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.len() <= 253 && !numeric && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_that_can_be_sent_to() {
        for good in ["192.0.2.1", "2001:db8::1", "[2001:db8::1]", "pbx-1.example.org", "a_b"] {
            assert!(host(good).is_some(), "{good}");
        }
        for bad in ["", "0.0.0.0", "::", "[::]", "300.1.2.3", "a b", "a/b", "-a", "a..b", "a:1"] {
            assert_eq!(host(bad), None, "{bad}");
        }
        assert_eq!(host("[2001:db8::1]").as_deref(), Some("2001:db8::1"));
    }

    #[test]
    fn a_port_may_follow_a_host() {
        for good in ["a", "a:1", "192.0.2.1:65535", "[::1]:5", "::1"] {
            assert!(host_and_optional_port(good).is_some(), "{good}");
        }
        for bad in ["a:0", "a:65536", "a:", ":1", "0.0.0.0:1", "a:b"] {
            assert_eq!(host_and_optional_port(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_url_has_a_scheme_a_host_and_nothing_secret() {
        for good in ["http://a", "https://a:8089", "http://[::1]:8088", "http://10.0.0.1:80/pbx/"] {
            assert!(url(good).is_some(), "{good}");
        }
        for bad in [
            "a:8088",
            "ftp://a",
            "http://",
            "http:///x",
            "http://u:p@a",
            "http://a?b",
            "http://a/#b",
            "http://a:0",
            "http://::1",
            "http://a b",
            "http://a/\n",
            "ws://a",
        ] {
            assert_eq!(url(bad), None, "{bad}");
        }
        assert_eq!(url("http://a:1/pbx/").as_deref(), Some("http://a:1/pbx"));
        assert_eq!(host_of_url("http://[::1]:8088/x"), "::1");
        assert_eq!(host_of_url("https://a:8089"), "a");
    }

    #[test]
    fn the_url_of_a_websocket_may_have_a_query() {
        for good in [
            "ws://a",
            "wss://a.example:8089/v1/listen?model=x&language=en-GB",
            "ws://[::1]:2700/",
            "ws://127.0.0.1:2700?a=%20",
        ] {
            assert!(is_websocket_url(good), "{good}");
        }
        for bad in ["http://a", "ws://", "ws:///x", "ws://u:p@a", "ws://a/#b", "ws://a/ b", "a"] {
            assert!(!is_websocket_url(bad), "{bad}");
        }
        assert_eq!(host_of_url("wss://a:1/x?y"), "a");
        assert_eq!(host_of_url("ws://a?y"), "a");
    }
}
