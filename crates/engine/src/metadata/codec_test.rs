//! The bytes of records: there and back, cut, and hostile.

use proptest::prelude::*;

use super::{DecodeRecordError, Record};
use crate::ids::{BrokerId, LeaderEpoch};
use crate::metadata::{Broker, Drain, Lease, Partition, Resource, SupportedFeature};

fn broker_ids() -> impl Strategy<Value = Vec<BrokerId>> {
    prop::collection::vec((0..=i32::MAX).prop_map(BrokerId), 0..5)
}

fn resource() -> impl Strategy<Value = Resource> {
    prop_oneof![
        ".*".prop_map(|name| Resource::Topic(name.into())),
        (0..=i32::MAX).prop_map(|id| Resource::Broker(BrokerId(id))),
        Just(Resource::AllBrokers),
        ".*".prop_map(|name| Resource::Group(name.into())),
    ]
}

fn partition() -> impl Strategy<Value = Partition> {
    let leader = prop::option::of((0..=i32::MAX).prop_map(BrokerId));
    let lists = prop::array::uniform5(broker_ids());
    (leader, any::<i32>(), any::<i32>(), lists).prop_map(
        |(leader, leader_epoch, partition_epoch, lists)| {
            let [replicas, isr, elr, adding, removing] = lists;
            let leader_epoch = LeaderEpoch(leader_epoch);
            Partition {
                leader,
                leader_epoch,
                partition_epoch,
                replicas,
                isr,
                elr,
                adding,
                removing,
            }
        },
    )
}

fn broker() -> impl Strategy<Value = Broker> {
    let listener = ("[A-Z]{1,5}", "[a-z.]{0,9}", any::<u16>())
        .prop_map(|(name, host, port)| config::Listener { name, host, port });
    let listeners = prop::collection::vec(listener, 0..3);
    let ids = any::<[[u8; 16]; 2]>();
    let feature = (".*", any::<i16>(), any::<i16>())
        .prop_map(|(name, min, max)| SupportedFeature { name: name.into(), min, max });
    let texts = (prop::option::of(".*"), prop::collection::vec(feature, 0..3));
    (any::<i64>(), ids, listeners, texts, any::<[bool; 4]>()).prop_map(
        |(epoch, [incarnation, directory], listeners, (rack, features), is)| Broker {
            epoch,
            incarnation: wire::Uuid(incarnation),
            directory: wire::Uuid(directory),
            listeners,
            rack: rack.map(Into::into),
            features,
            fenced: is[0],
            in_controlled_shutdown: is[1],
            cordoned: is[2],
            is_controller_only: is[3],
        },
    )
}

fn lease() -> impl Strategy<Value = Lease> {
    (0..=i32::MAX, ".*", any::<i64>()).prop_map(|(broker, holder, ttl_ms)| Lease {
        broker: BrokerId(broker),
        holder: holder.into(),
        ttl_ms,
    })
}

fn record() -> impl Strategy<Value = Record> {
    let id = || any::<[u8; 16]>().prop_map(wire::Uuid);
    let broker_id = || (0..=i32::MAX).prop_map(BrokerId);
    prop_oneof![
        ".*".prop_map(|id: String| Record::Cluster { cluster_id: id.into() }),
        (".*", any::<i16>()).prop_map(|(name, level)| Record::Feature { name: name.into(), level }),
        (broker_id(), broker()).prop_map(|(id, broker)| Record::RegisterBroker { id, broker }),
        (broker_id(), any::<i64>(), any::<[bool; 3]>()).prop_map(|(id, epoch, is)| {
            Record::ChangeBroker {
                id,
                epoch,
                fenced: is[0],
                in_controlled_shutdown: is[1],
                cordoned: is[2],
            }
        }),
        (broker_id(), any::<i64>()).prop_map(|(id, epoch)| Record::UnregisterBroker { id, epoch }),
        any::<i64>().prop_map(|last| Record::BrokerEpochs { last }),
        (broker_id(), prop::sample::select(vec![None, Some(Drain::Leadership), Some(Drain::All)]))
            .prop_map(|(id, drain)| Record::Drain { id, drain }),
        prop::option::of(lease()).prop_map(|lease| Record::Lease { lease }),
        any::<bool>().prop_map(|is_asked| Record::Balance { is_asked }),
        (id(), ".*").prop_map(|(id, name)| Record::Topic { id, name: name.into() }),
        (id(), any::<i32>(), partition()).prop_map(|(topic_id, index, partition)| {
            Record::Partition { topic_id, index, partition }
        }),
        id().prop_map(|id| Record::RemoveTopic { id }),
        (id(), prop::option::of(".*")).prop_map(|(topic_id, owner)| Record::ClaimTopic {
            topic_id,
            owner: owner.map(Into::into)
        }),
        (resource(), ".*", prop::option::of(".*")).prop_map(|(resource, key, value)| {
            Record::Config { resource, key: key.into(), value: value.map(Into::into) }
        }),
        any::<i64>().prop_map(|next| Record::ProducerIds { next }),
    ]
}

fn bytes_of(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn a_record_survives_its_bytes(record in record()) {
        prop_assert_eq!(Record::decode(&bytes_of(&record)), Ok(record));
    }

    #[test]
    fn every_shorter_and_longer_record_is_refused(record in record()) {
        let mut bytes = bytes_of(&record);
        for len in 0..bytes.len() {
            prop_assert!(Record::decode(&bytes[..len]).is_err());
        }
        bytes.push(0);
        prop_assert_eq!(Record::decode(&bytes), Err(DecodeRecordError::Trailing(1)));
    }

    #[test]
    fn hostile_bytes_cost_an_error_at_most(
        record in record(),
        at: prop::sample::Index,
        byte: u8,
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut bytes = bytes_of(&record);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(decoded) = Record::decode(&bytes) {
            prop_assert_eq!(bytes_of(&decoded), bytes);
        }
        let _ = Record::decode(&noise);
    }
}

#[test]
fn a_length_that_is_not_there_allocates_nothing() {
    let claimed = [[super::CLUSTER, 0], [0x7f, 0xff], [0xff, 0xff]].concat();
    assert_eq!(Record::decode(&claimed), Err(DecodeRecordError::Short { field: "cluster id" }));
}

#[test]
fn a_newer_build_is_named() {
    for (bytes, kind, version) in [([99, 0], 99, 0), ([1, 1], 1, 1), ([0, 0], 0, 0)] {
        let error = Record::decode(&bytes).unwrap_err();
        assert_eq!(error, DecodeRecordError::Unknown { kind, version });
    }
}

#[test]
fn a_broker_that_was_registered_before_there_were_features_supports_none() {
    let mut bytes = vec![super::REGISTER_BROKER, 0];
    bytes.extend([0, 0, 0, 4]);
    bytes.extend(9i64.to_be_bytes());
    bytes.extend([1; 16]);
    bytes.extend([2; 16]);
    bytes.extend([0, 0, 0, 0]);
    bytes.extend([0, 1, 0, 1]);
    let Ok(Record::RegisterBroker { id, broker }) = Record::decode(&bytes) else {
        panic!("it is one: {:?}", Record::decode(&bytes));
    };
    assert_eq!((id, broker.epoch, broker.fenced, broker.cordoned), (BrokerId(4), 9, true, true));
    assert_eq!(broker.features, []);
}

#[test]
fn the_bytes_of_a_partition_stay_what_they_are() {
    let record = Record::Partition {
        topic_id: wire::Uuid([7; 16]),
        index: 3,
        partition: Partition {
            leader: None,
            leader_epoch: LeaderEpoch(1),
            partition_epoch: 2,
            replicas: vec![BrokerId(1), BrokerId(2)],
            isr: vec![BrokerId(2)],
            elr: vec![BrokerId(1)],
            adding: Vec::new(),
            removing: Vec::new(),
        },
    };
    let mut expected = vec![6, 0];
    expected.extend([7; 16]);
    for number in [3, -1, 1, 2, 2, 1, 2, 1, 2, 1, 1, 0, 0i32] {
        expected.extend(number.to_be_bytes());
    }
    assert_eq!(bytes_of(&record), expected);
}
