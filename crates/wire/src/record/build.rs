//! Makes a batch from records: for clients, for internal topics, for tests.

use bytes::{BufMut, Bytes, BytesMut};

use super::batch::{self, HEADER_LEN, LENGTH_PREFIX, TimestampType};
use super::compress::{self, Codec};
use super::control::EndMarker;
use super::item::{write_varint, write_varlong};

/// A record to be put into a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Key; `None` is null.
    pub key: Option<Bytes>,
    /// Value; `None` is null.
    pub value: Option<Bytes>,
    /// Names and values.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl NewRecord {
    /// A record with a key and a value.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>, timestamp: i64) -> Self {
        Self { timestamp, key: Some(key.into()), value: Some(value.into()), headers: Vec::new() }
    }
}

/// Collects records into one batch. Set the public fields before [`BatchBuilder::finish`].
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    /// How the records are packed.
    pub codec: Codec,
    /// Offset of the first record; 0 from a client.
    pub base_offset: i64,
    /// -1 from a client.
    pub leader_epoch: i32,
    /// Idempotent producer, or -1.
    pub producer_id: i64,
    /// Its epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence of the first record, or -1.
    pub base_sequence: i32,
    /// Part of a transaction.
    pub transactional: bool,
    /// Whose clock; clients say `CreateTime`.
    pub timestamp_type: TimestampType,
    control: bool,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
    last_delta: i32,
    records: Vec<u8>,
    scratch: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new(Codec::None)
    }
}

impl BatchBuilder {
    /// An empty batch without a producer.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            base_offset: 0,
            leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            transactional: false,
            timestamp_type: TimestampType::CreateTime,
            control: false,
            base_timestamp: -1,
            max_timestamp: -1,
            count: 0,
            last_delta: -1,
            records: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Makes it the batch of an idempotent producer.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// Adds a record behind the last one.
    pub fn push(&mut self, record: &NewRecord) -> &mut Self {
        let headers = record.headers.iter().map(|(key, value)| (&key[..], value.as_deref()));
        self.push_parts(record.timestamp, record.key.as_deref(), record.value.as_deref(), headers)
    }

    /// As [`BatchBuilder::push`], from borrowed parts.
    pub fn push_parts<'h>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'h [u8], Option<&'h [u8]>), IntoIter: ExactSizeIterator>,
    ) -> &mut Self {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.last_delta += 1;
        let body = &mut self.scratch;
        body.clear();
        body.push(0);
        write_varlong(body, timestamp.wrapping_sub(self.base_timestamp));
        write_varint(body, self.last_delta);
        write_nullable(body, key);
        write_nullable(body, value);
        let headers = headers.into_iter();
        write_varint(body, length(headers.len()));
        for (key, value) in headers {
            write_nullable(body, Some(key));
            write_nullable(body, value);
        }
        write_varint(&mut self.records, length(body.len()));
        self.records.extend_from_slice(body);
        self.count += 1;
        self
    }

    /// How many records were pushed.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Bytes of the batch if it were finished now and not packed.
    pub fn plain_size(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    /// Packs, hashes, and hands over the batch. A batch without records is legal to read (compaction
    /// leaves such) but no broker takes it from a client.
    ///
    /// # Panics
    /// When the batch exceeds 2 GiB.
    pub fn finish(&self) -> BytesMut {
        let packed = compress::compress(self.codec, &self.records)
            .expect("packing into memory does not fail");
        let size = HEADER_LEN + packed.len();
        let mut out = BytesMut::with_capacity(size);
        out.put_i64(self.base_offset);
        out.put_i32(length(size - LENGTH_PREFIX));
        out.put_i32(self.leader_epoch);
        out.put_i8(2);
        out.put_u32(0);
        out.put_i16(batch::attributes(
            self.codec,
            self.timestamp_type,
            self.transactional,
            self.control,
        ));
        out.put_i32(self.last_delta);
        out.put_i64(self.base_timestamp);
        out.put_i64(self.max_timestamp);
        out.put_i64(self.producer_id);
        out.put_i16(self.producer_epoch);
        out.put_i32(self.base_sequence);
        out.put_i32(self.count);
        out.extend_from_slice(&packed);
        batch::seal(&mut out);
        out
    }

    /// The control batch that ends the transaction of a producer.
    pub fn end_marker(
        producer_id: i64,
        producer_epoch: i16,
        marker: EndMarker,
        at_ms: i64,
    ) -> BytesMut {
        let mut builder = Self::new(Codec::None).producer(producer_id, producer_epoch, -1);
        builder.transactional = true;
        builder.control = true;
        builder.push_parts(at_ms, Some(&marker.kind.key()), Some(&marker.value()), []);
        builder.finish()
    }
}

fn write_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => write_varint(out, -1),
        Some(bytes) => {
            write_varint(out, length(bytes.len()));
            out.extend_from_slice(bytes);
        }
    }
}

fn length(length: usize) -> i32 {
    i32::try_from(length).expect("a batch is smaller than 2 GiB")
}
