//! The settings that a Topic declares, under Kafka's names.

use std::collections::BTreeMap;

use crds::TopicSpec;
use crds::topic::{Compression, Durability, TopicReason};

use super::Refused;

/// The settings of a Topic: those that have a field of their own, and `config`; without those that
/// `unmanagedConfig` leaves alone.
///
/// # Errors
/// `InvalidSpec` if an amount or a span cannot be read, `InvalidConfig` if the table of settings
/// (`config::topic`) does not know a key or takes no such value.
pub fn settings(spec: &TopicSpec) -> Result<BTreeMap<String, String>, Refused> {
    let mut settings = spec.config.clone();
    let mut put = |key: &str, value: String| settings.insert(key.to_owned(), value);
    let retention = spec.retention.clone().unwrap_or_default();
    if let Some(time) = &retention.time {
        let ms = time.millis().map_err(|e| invalid("spec.retention.time", &e))?;
        put("retention.ms", ms.to_string());
    }
    if let Some(bytes) = &retention.bytes {
        let bytes = bytes.bytes().map_err(|e| invalid("spec.retention.bytes", &e))?;
        put("retention.bytes", bytes.to_string());
    }
    if let Some(least) = spec.min_in_sync_replicas {
        put("min.insync.replicas", least.to_string());
    }
    if let Some(bytes) = &spec.max_message_bytes {
        let bytes = bytes.bytes().map_err(|e| invalid("spec.maxMessageBytes", &e))?;
        put("max.message.bytes", bytes.to_string());
    }
    if let Some(compression) = spec.compression {
        put("compression.type", compression_name(compression).to_owned());
    }
    if let Some(durability) = spec.durability {
        let name = match durability {
            Durability::Replicated => "replicated",
            Durability::Fsync => "fsync",
        };
        put("klamm.durability", name.to_owned());
    }
    settings.retain(|key, _| !spec.unmanaged_config.contains(key));
    match config::validate_topic_config(&settings) {
        Ok(()) => Ok(settings),
        Err(error) => {
            Err(Refused { reason: TopicReason::InvalidConfig, message: error.to_string() })
        }
    }
}

fn compression_name(compression: Compression) -> &'static str {
    match compression {
        Compression::Producer => "producer",
        Compression::Uncompressed => "uncompressed",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    }
}

fn invalid(path: &str, error: &dyn std::error::Error) -> Refused {
    Refused { reason: TopicReason::InvalidSpec, message: format!("{path}: {error}") }
}
