//! The cluster's state after some prefix of the metadata log, and the bytes of what changes it.

use bytes::{Buf, BufMut, Bytes};
use config::Settings;
use engine::BrokerId;
use engine::metadata::{DecodeRecordError, Image, Record, Resource};

/// The state after some prefix of the metadata log. Everybody reads it, nobody changes it.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Topics, brokers, settings.
    pub(crate) image: Image,
    /// This broker's settings, dynamic layers included.
    pub(crate) settings: Settings,
    /// How many decisions have changed it; brokers report it as their metadata offset.
    pub(crate) version: u64,
}

impl State {
    /// The state before the first decision.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { image: Image::default(), settings: settings.clone(), version: 0 }
    }

    /// Carries out one decision, as broker `node` sees it.
    pub(crate) fn apply(&mut self, records: &[Record], node: BrokerId) {
        for record in records {
            self.image.apply(record);
        }
        if records.iter().any(concerns_brokers) {
            self.settings = dynamic_settings(&self.settings, &self.image, node);
        }
        self.version += 1;
    }

    /// The whole state: its version, then the records that make it from nothing.
    pub(crate) fn to_snapshot(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_u64(self.version);
        encode_records(&self.image.to_records(), &mut out);
        out.into()
    }

    /// Becomes the state that [`Self::to_snapshot`] has written.
    pub(crate) fn restore(
        &mut self,
        mut snapshot: Bytes,
        node: BrokerId,
    ) -> Result<(), RecordsError> {
        let version = snapshot.try_get_u64().map_err(|_| RecordsError::Cut)?;
        let records = decode_records(&snapshot)?;
        self.image = Image::default();
        self.apply(&records, node);
        // Also where none of the records is a setting: there may have been one before.
        self.settings = dynamic_settings(&self.settings, &self.image, node);
        self.version = version;
        Ok(())
    }
}

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordsError {
    #[error("a metadata record cannot be read: {0}; hint: run the newer version of klamm")]
    Record(#[from] DecodeRecordError),
    #[error("a metadata entry is cut short")]
    Cut,
}

/// Records lie in an entry as length and bytes.
pub(crate) fn encode_records(records: &[Record], out: &mut Vec<u8>) {
    for record in records {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        record.encode(out);
        let length = u32::try_from(out.len() - at - 4).expect("a record is far below 4 GiB");
        out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// What [`encode_records`] has written.
pub(crate) fn decode_records(mut entry: &[u8]) -> Result<Vec<Record>, RecordsError> {
    let mut records = Vec::new();
    while !entry.is_empty() {
        let (length, rest) = entry.split_first_chunk::<4>().ok_or(RecordsError::Cut)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (record, rest) = rest.split_at_checked(length).ok_or(RecordsError::Cut)?;
        records.push(Record::decode(record)?);
        entry = rest;
    }
    Ok(records)
}

fn concerns_brokers(record: &Record) -> bool {
    matches!(record, Record::Config { resource: Resource::Broker(_) | Resource::AllBrokers, .. })
}

/// The static layers below the dynamic ones of the image. Values were checked when they were set; a
/// newer version may refuse one, and then the static layers stand.
fn dynamic_settings(settings: &Settings, image: &Image, node: BrokerId) -> Settings {
    let cluster = image.config(&Resource::AllBrokers);
    let broker = image.config(&Resource::Broker(node));
    match settings.with_dynamic((*cluster).clone(), (*broker).clone()) {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!(%error, "dynamic broker settings are ignored");
            settings.clone()
        }
    }
}
