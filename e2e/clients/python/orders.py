"""The order story's client in confluent-kafka. Verbs and lines are described in ../README.md."""

import json
import logging
import signal
import sys
import threading
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def produce(broker, topic):
    failed = False

    def done(n):
        def report(error, message):
            nonlocal failed
            if error is not None:
                failed = True
                say("failed", n=n, error=str(error))
            else:
                say("acked", n=n, partition=message.partition(), offset=message.offset())

        return report

    producer = Producer({
        "bootstrap.servers": broker,
        "enable.idempotence": True,
        # Else a burst of records without a key goes to a few partitions only.
        "sticky.partitioning.linger.ms": 0,
    })
    # Reports come while it is polled: also while there is nothing to send.
    ended = threading.Event()

    def listen():
        while not ended.is_set():
            producer.poll(0.1)

    listener = threading.Thread(target=listen)
    listener.start()
    for line in sys.stdin:
        order = json.loads(line)
        optional = {"timestamp": order["timestamp"]} if order.get("timestamp") else {}
        headers = [(name, value.encode()) for name, value in (order.get("headers") or {}).items()]
        while True:
            try:
                producer.produce(topic, order["value"], order["key"], headers=headers,
                                 on_delivery=done(order["n"]), **optional)
                break
            except BufferError:
                time.sleep(0.1)
    ended.set()
    listener.join()
    producer.flush()
    return 1 if failed else 0


class Heartbeats(logging.Handler):
    """Tells of the answers to heartbeats, which librdkafka names only in its trace."""

    def emit(self, record):
        if "Received HeartbeatResponse" in record.getMessage():
            say("heartbeat")
        elif record.levelno > logging.DEBUG:
            print(record.getMessage(), file=sys.stderr)


def consume(broker, topic, group, session, heartbeat):
    running = True

    def stop(*_):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    logger = logging.getLogger("librdkafka")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(Heartbeats())
    consumer = Consumer({
        "bootstrap.servers": broker,
        "group.id": group,
        "debug": "protocol",
        "session.timeout.ms": int(session),
        "heartbeat.interval.ms": int(heartbeat),
        "auto.offset.reset": "earliest",
    }, logger=logger)
    owned = set()

    def assigned(_, partitions):
        owned.update(each.partition for each in partitions)
        say("owns", partitions=sorted(owned))

    def revoked(_, partitions):
        owned.difference_update(each.partition for each in partitions)
        say("owns", partitions=sorted(owned))

    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
    while running:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            print(message.error(), file=sys.stderr)
            continue
        key = message.key()
        say(
            "record",
            partition=message.partition(),
            offset=message.offset(),
            key=None if key is None else key.decode(),
            value=message.value().decode(),
            headers={name: value.decode() for name, value in message.headers() or []},
            timestamp=message.timestamp()[1],
        )
    consumer.close()
    return 0


def rewind(broker, topic, group):
    admin = AdminClient({"bootstrap.servers": broker})
    partitions = admin.list_topics(topic).topics[topic].partitions
    questions = {TopicPartition(topic, partition): OffsetSpec.earliest() for partition in partitions}
    offsets = [
        TopicPartition(partition.topic, partition.partition, first.result().offset)
        for partition, first in admin.list_offsets(questions).items()
    ]
    moved = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, offsets)])[group].result()
    for partition in moved.topic_partitions:
        if partition.error:
            raise KafkaException(partition.error)
    say("rewound", partitions=len(offsets))
    return 0


if __name__ == "__main__":
    sys.exit({"produce": produce, "consume": consume, "rewind": rewind}[sys.argv[1]](*sys.argv[2:]))
