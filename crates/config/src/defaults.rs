//! Broker-wide defaults of topic settings.
