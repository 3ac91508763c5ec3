//! What is sent: orders with a key, and page views without.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// How many steps an order goes through, each a record with the order's id as key.
const STEPS: u64 = 12;

/// A record to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Its number, from 0, in the order of sending.
    pub n: u64,
    /// The order's id; none for a page view.
    pub key: Option<String>,
    /// What happened, as JSON with the number in it.
    pub value: String,
    /// Its headers by name.
    pub headers: BTreeMap<String, String>,
    /// Its timestamp in milliseconds since 1970; none for a page view, which happens when it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
}

impl Order {
    /// The `n`th step of all orders, a millisecond after the one before: interleaved, each order's steps in
    /// sequence. The first is from `since_ms`, which is not now, so that a client's or broker's own clock
    /// cannot be taken for what was sent; nor so long ago that retention would drop it.
    pub fn placed(n: u64, of: u64, since_ms: i64) -> Self {
        let orders = (of / STEPS).max(1);
        let (id, step) = (n % orders, n / orders);
        let key = format!("order-{id:05}");
        let value = format!(
            r#"{{"n":{n},"orderId":"{key}","step":{step},"total":"{}.50 €"}}"#,
            10 + n % 90
        );
        let headers = BTreeMap::from([
            ("source".to_owned(), "web-shop".to_owned()),
            ("straße".to_owned(), "Höllentalklamm 1".to_owned()),
        ]);
        Self { n, key: Some(key), value, headers, timestamp: Some(since_ms + n.cast_signed()) }
    }

    /// The `n`th page view: no key, and large enough that clients which fill one batch after the other
    /// fill many.
    pub fn page_view(n: u64) -> Self {
        let value = format!(r#"{{"n":{n},"page":"{}"}}"#, "/alpspitze".repeat(60));
        Self { n, key: None, value, headers: BTreeMap::new(), timestamp: None }
    }

    /// A day ago, for [`Order::placed`].
    pub fn yesterday() -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX) - 24 * 3600 * 1000
    }

    /// The number in a value that was read.
    pub fn number(value: &str) -> Option<u64> {
        value.strip_prefix(r#"{"n":"#)?.split(',').next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_view_is_not_of_1970() {
        // A broker would be right to drop it at once.
        let sent = serde_json::to_string(&Order::page_view(3)).unwrap();
        assert!(!sent.contains("timestamp"), "{sent}");
    }

    #[test]
    fn a_value_tells_its_number() {
        assert_eq!(Order::number(&Order::placed(17, 120, 0).value), Some(17));
        assert_eq!(Order::number(&Order::page_view(3).value), Some(3));
    }
}
