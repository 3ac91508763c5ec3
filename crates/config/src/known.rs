//! Kafka's broker settings that nothing here reads.
