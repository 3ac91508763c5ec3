//! Speaks Kafka to a broker: connections, routing, admin, produce, consume.
